package backup

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gsprobackup/internal/usererr"
)

// A signal has its own words where the C tool has them; everywhere else it is
// "interrupted during backup". A bare "interrupted" is the cause itself.
func TestSaysInterrupted(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{usererr.New("interrupted"), false},
		{fmt.Errorf("copy: %w", context.Canceled), false},
		{usererr.New("Interrupted during WAL streaming"), true},
		{usererr.New("interrupted during waiting for pg_stop_backup"), true},
		{usererr.Wrap(errors.Join(errTracking, context.Canceled), "interrupted"), true},
	} {
		if got := saysInterrupted(tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
	}
}
