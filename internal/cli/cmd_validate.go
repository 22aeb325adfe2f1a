package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// validateSettings is what the command line and the instance say about a
// validation. Without ID and target everything is validated: one instance, or
// all if Instance is "".
type validateSettings struct {
	Catalog  string
	Instance string
	Config   *catalog.Config

	ID                  catalog.ID
	Target              restore.Target
	SkipBlockValidation bool
	Threads             int
}

func validateCommand(s *session) *cobra.Command {
	rules := commandRules{name: "validate", noInstance: true, takesID: true, takesTarget: true, logged: true, needsDSS: true}
	return newCommand("validate", "check backups", s.command(rules, func(ctx context.Context, r *request) error {
		settings, err := s.validateSettings(r)
		if err != nil {
			return err
		}
		return s.runValidate(ctx, settings)
	}))
}

// runValidate hands over to the use case.
func (s *session) runValidate(_ context.Context, _ validateSettings) error {
	return notBuiltIn("The command validate")
}

func (s *session) validateSettings(r *request) (validateSettings, error) {
	if r.Instance == "" && (r.ID != 0 || !r.Recovery.IsZero()) {
		return validateSettings{}, usererr.New("required parameter not specified: --instance")
	}
	return validateSettings{
		Catalog: r.Catalog, Instance: r.Instance, Config: r.Config,
		ID: r.ID, Target: r.Recovery,
		SkipBlockValidation: r.SkipBlockValidation, Threads: r.threads(),
	}, nil
}
