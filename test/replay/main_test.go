package replay

import (
	"fmt"
	"os"
	"testing"

	"gsprobackup/test/pgserver"
)

func TestMain(m *testing.M) {
	if err := pgserver.CleanProcess(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
