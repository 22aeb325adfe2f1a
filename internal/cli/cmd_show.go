package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
)

// showCommand lists backups or the WAL archive. Unlike the C tool it never
// runs ps, never changes a status, and reports a failing stdout (spec/cli.md
// §8.1, §13 rows 9 and 17).
func showCommand(s *session) *cobra.Command {
	rules := commandRules{name: "show", noInstance: true, takesID: true, shows: true}
	return newCommand("show", "list backups", s.command(rules, func(ctx context.Context, r *request) error {
		if r.ID != 0 && r.Instance == "" {
			return usererr.New("You must specify --instance to use (-i, --backup-id) option")
		}
		if r.ID != 0 && r.Archive {
			return usererr.New("You cannot specify --archive and (-i, --backup-id) options together")
		}
		instances, err := s.shownInstances(ctx, r)
		if err != nil {
			return err
		}
		switch {
		case r.ID != 0:
			return s.showOne(r, instances[0])
		case r.Archive:
			return s.showArchives(r, instances)
		}
		return s.showBackups(r, instances)
	}))
}

// shownInstances reads the instance that was asked for, or all.
func (s *session) shownInstances(ctx context.Context, r *request) ([]shownInstance, error) {
	if r.Instance != "" {
		inst, err := s.readBackups(ctx, r.instance, r.Config)
		return []shownInstance{inst}, err
	}
	all, err := s.openCatalog(r.Catalog).Instances(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		s.console.warn("This backup catalog contains no backup instances. Backup instance can be added via 'add-instance' command.")
	}
	var out []shownInstance
	for _, i := range all {
		cfg := catalog.NewConfig()
		if ok, err := s.readOtherConfig(i, cfg); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		inst, err := s.readBackups(ctx, i, cfg)
		if err != nil {
			return nil, err
		}
		out = append(out, inst)
	}
	return out, nil
}

// readOtherConfig reads the configuration of an instance that was not named
// with --instance. A missing or empty file is worth a warning; ok is false
// then. So is an unknown key, but not a bad value.
func (s *session) readOtherConfig(i *catalog.Instance, cfg *catalog.Config) (ok bool, err error) {
	n, err := catalog.ReadConfig(s.env.FS, i.ConfigPath(), cfg, func(u catalog.UnknownOption) error {
		s.console.Emit(u)
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.console.warn("Control file \"%s\" doesn't exist", i.ConfigPath())
		return false, nil
	case err != nil:
		s.badConfig("Control", i, err)
		return false, nil
	case n == 0:
		s.console.warn("Control file \"%s\" is empty", i.ConfigPath())
		return false, nil
	}
	return true, nil
}

// badConfig tells why an instance is left out. The C tool ends here, and one
// bad file hides all instances.
func (s *session) badConfig(kind string, i *catalog.Instance, err error) {
	s.console.warn("%s", errorText(err))
	var unread *fs.PathError
	if !errors.As(err, &unread) {
		s.console.warn("%s file \"%s\" is corrupted", kind, i.ConfigPath())
	}
}

func (s *session) readBackups(ctx context.Context, i *catalog.Instance, cfg *catalog.Config) (shownInstance, error) {
	backups, err := i.Backups(ctx)
	return shownInstance{Name: i.Name(), DSS: cfg.SharedStorage(), Backups: backups}, err
}

func (s *session) showBackups(r *request, instances []shownInstance) error {
	out := s.streams.Out
	if r.JSON {
		list := jsonArray{}
		for _, inst := range instances {
			list = append(list, instanceJSON(inst, s.profile, s.env.Location))
		}
		return writeJSON(out, frameJSON(list, s.profile))
	}
	for _, inst := range instances {
		if r.Instance == "" {
			if _, err := fmt.Fprintf(out, "\nBACKUP INSTANCE '%s'\n", inst.Name); err != nil {
				return err
			}
		}
		rows := backupRows(inst, s.profile, s.env.Now(), s.env.Location)
		if err := writeTable(out, backupColumns(s.profile), rows); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) showArchives(r *request, instances []shownInstance) error {
	list := jsonArray{}
	for _, inst := range instances {
		a, err := s.readArchive(r.Catalog, inst)
		if err != nil {
			return err
		}
		if r.JSON {
			list = append(list, archiveJSON(a, s.profile, s.env.Location))
		} else if err := writeArchivePlain(s.streams.Out, a); err != nil {
			return err
		}
	}
	if r.JSON {
		return writeJSON(s.streams.Out, frameJSON(list, s.profile))
	}
	return nil
}

// showOne prints a backup's control data, made anew (spec/cli.md §8.3). A
// backup that is not there is no failure.
func (s *session) showOne(r *request, inst shownInstance) error {
	found := shownInstance{Name: inst.Name, DSS: inst.DSS}
	for _, b := range inst.Backups {
		if b.ID == r.ID {
			found.Backups = append(found.Backups, b)
			break
		}
	}
	if r.JSON {
		// The parent is not in the list, so its timeline shows as 0.
		list := jsonArray{instanceJSON(found, s.profile, s.env.Location)}
		return writeJSON(s.streams.Out, frameJSON(list, s.profile))
	}
	if len(found.Backups) == 0 {
		s.console.info("Requested backup \"%s\" is not found.", r.ID)
		return nil
	}
	return catalog.WriteControl(s.streams.Out, s.asRelease(found.Backups[0]), s.env.Location)
}

// asRelease is the backup with the sections that the release prints: all
// since it has them, whatever the file says.
func (s *session) asRelease(b *catalog.Backup) *catalog.Backup {
	c := *b
	switch {
	case !s.profile.StorageSection:
		c.StorageType = catalog.StorageAbsent
	case c.StorageType == catalog.StorageAbsent:
		c.StorageType = catalog.StorageFile
	}
	switch {
	case !s.profile.S3Section:
		c.S3Status = catalog.S3Absent
	case c.S3Status == catalog.S3Absent:
		c.S3Status = catalog.S3Unknown
	}
	return &c
}
