package cli

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

func validateCommand(s *session) *cobra.Command {
	rules := commandRules{name: "validate", noInstance: true, takesID: true, takesTarget: true, logged: true, needsDSS: true}
	return newCommand("validate", "check backups", s.command(rules, func(ctx context.Context, r *request) error {
		if r.ID == 0 && r.Recovery.IsZero() {
			return s.validateAll(ctx, r)
		}
		if r.Instance == "" {
			return usererr.New("required parameter not specified: --instance")
		}
		return restore.Check(ctx, s.restoreDeps(remote.Local(s.env.FS)), restore.Options{
			Instance: r.instance, BackupID: r.ID, Target: r.Recovery,
			Threads: r.threads(), SkipBlockValidation: r.SkipBlockValidation,
		})
	}))
}

// validateAll checks all backups of one instance or of all. What is bad was
// said when it was found; the exit status repeats it.
func (s *session) validateAll(ctx context.Context, r *request) error {
	instances := []*catalog.Instance{r.instance}
	bad, locked := false, false
	if r.instance == nil {
		var err error
		if instances, err = s.openCatalog(r.Catalog).Instances(ctx); err != nil {
			return err
		}
	}
	for _, inst := range instances {
		if r.instance == nil && !s.configured(inst) {
			bad = true
			continue
		}
		res, err := validate.Instance(ctx, validate.Deps{FS: s.env.FS, Instance: inst, Sink: s.console}, validate.Options{
			Threads: r.threads(), SkipBlockValidation: r.SkipBlockValidation,
		})
		if err != nil {
			return err
		}
		bad, locked = bad || res.Corrupt, locked || res.Locked
	}
	if locked {
		s.console.warn("Some backups weren't locked and they were skipped")
	}
	if bad {
		s.console.warn("Some backups are not valid")
		return &exitError{code: 1}
	}
	if !locked {
		s.console.info("All backups are valid")
	}
	return nil
}

// configured tells whether an instance has a configuration that it can be
// validated with, and warns if not; unknown keys do not matter here.
func (s *session) configured(inst *catalog.Instance) bool {
	ignore := func(catalog.UnknownOption) error { return nil }
	cfg := catalog.NewConfig()
	n, err := catalog.ReadConfig(s.env.FS, inst.ConfigPath(), cfg, ignore)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		s.badConfig("Configuration", inst, err)
	case n == 0:
		s.console.warn("Configuration file \"%s\" is empty", inst.ConfigPath())
	case cfg.SharedStorage():
		s.console.warn("%s", validate.ErrSharedStorage)
	default:
		return true
	}
	return false
}
