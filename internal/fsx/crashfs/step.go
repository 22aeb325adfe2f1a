package crashfs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
)

// chances is how many random outcomes EachStep tries per crash, besides the
// worst and the best one.
const chances = 8

// Step tells where EachStep cut the work off.
type Step struct {
	Done bool   // the work returned nil before the crash
	Cut  string // the step that did not happen, as in faultfs' log; "" if Done
	Log  string // the steps before
	How  string // what survived: "worst", "best" or "chance <seed>"
}

// String is a name for test messages.
func (s Step) String() string {
	if s.Done {
		return fmt.Sprintf("crash after the end (%s)", s.How)
	}
	return fmt.Sprintf("crash before %q (%s)", s.Cut, s.How)
}

// EachStep runs work again and again, each time on a new file system made
// durable after setup, and lets it crash before its first step, its second
// step and so on, and at last after its end. For every crash check is given
// several file systems that a restart could find.
//
// work must make the same steps each time, and must return an error when the
// file system does; it sees faultfs errors around ErrCrashed.
func EachStep(tb testing.TB, setup, work func(fsx.FS) error, check func(Step, *FS)) {
	tb.Helper()
	for n := 1; ; n++ {
		f := New()
		if err := setup(f); err != nil {
			tb.Fatalf("setup: %v", err)
		}
		f.SyncAll()
		faults := faultfs.New(f)
		faults.FailFrom(n, ErrCrashed)
		err := work(faults)
		ops := faults.Ops()
		step := Step{Done: len(ops) < n}
		if step.Done != (err == nil) {
			tb.Fatalf("work returned %v with a crash before step %d; steps:\n%s", err, n, faults.Log())
		}
		for i, op := range ops {
			if i+1 < n {
				step.Log += op.String() + "\n"
			} else if i+1 == n {
				op.Err = nil
				step.Cut = op.String()
			}
		}
		step.How = "worst"
		check(step, f.AfterCrash(Worst))
		step.How = "best"
		check(step, f.AfterCrash(Best))
		for seed := range uint64(chances) {
			step.How = fmt.Sprintf("chance %d", seed)
			check(step, f.AfterCrash(rand.New(rand.NewPCG(uint64(n), seed)).IntN))
		}
		if step.Done {
			return
		}
	}
}
