package remove

import (
	"context"
)

// Instance tells what removing a whole instance would delete, newest first as
// it would go: every backup, whatever its status or pin. Nothing is changed.
func Instance(ctx context.Context, deps Deps) error {
	all, err := deps.Instance.Backups(ctx)
	if err != nil {
		return err
	}
	if err := deps.Instance.CheckForeign(all); err != nil {
		return err
	}
	for _, b := range all {
		deps.Sink.Emit(StatusMatched{ID: b.ID, Status: b.Status, DryRun: true})
	}
	deps.Sink.Emit(TotalKnown{Backups: len(all), Bytes: residentSize(all)})
	deps.Sink.Emit(InstanceMatched{Instance: deps.Instance.Name()})
	return nil
}
