package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// In an instance on shared storage, which this build lacks, backups keep their
// status: nothing is known of their files.
func TestSharedStorageIsLeftAlone(t *testing.T) {
	w := deleteWorld(t)
	w.stage("append", home+"/b/backups/n1/pg_probackup.conf", "enable-dss = true")
	for id := range strings.SplitSeq(w.backups(), " ") {
		w.stage("replace", filepath.Join(home, "b/backups/n1", id, "backup.control"), "storage-type = FILE", "storage-type = DSS")
	}
	show := func() string {
		return w.run(strings.Fields("show -B /home/omm/b --instance n1 --format=json"), nil).stdout
	}
	before := show()
	for args, want := range map[string]string{
		"validate -B /home/omm/b":                      "WARNING: fail to init dss device: shared storage is not built into this binary\nWARNING: Some backups are not valid\n",
		"merge -B /home/omm/b --instance n1 -i TOWA5I": "ERROR: fail to init dss device: shared storage is not built into this binary\n",
	} {
		r := w.run(strings.Fields(args), nil)
		if r.exit != 1 || !strings.HasSuffix(r.stderr, want) {
			t.Errorf("%s: exit %d\n%s", args, r.exit, r.stderr)
		}
		if got := show(); got != before {
			t.Errorf("%s:\n%s", args, got)
		}
	}
}
