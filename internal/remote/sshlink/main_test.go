package sshlink

import (
	"os"
	"testing"

	"gsprobackup/test/pgserver"
)

func TestMain(m *testing.M) { os.Exit(pgserver.RunClean(m)) }
