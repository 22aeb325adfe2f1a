package restore

import (
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/wal"
)

func TestJudge(t *testing.T) {
	const lsn = wal.LSN(0x5000000)
	noted := pageSource{noted: true, stop: 0x6000000, checksums: true}
	header := blockfile.Header{LSN: lsn, Checksum: 77}
	sound := remote.PageSum{LSN: lsn, Checksum: 77}
	for _, tt := range []struct {
		name   string
		run    run
		source pageSource
		header blockfile.Header
		page   remote.PageSum
		want   verdict
	}{
		{"same", run{}, noted, header, sound, same},
		{"older", run{}, noted, header, remote.PageSum{LSN: lsn - 8, Checksum: 77}, differs},
		{"hint bit", run{}, noted, header, remote.PageSum{LSN: lsn, Checksum: 78}, differs},
		{"torn", run{}, noted, header, remote.PageSum{LSN: lsn, Checksum: 77, Status: pgdata.PageChecksumMismatch}, differs},
		{"garbage", run{}, noted, header, remote.PageSum{LSN: lsn, Status: pgdata.PageHeaderInvalid}, differs},
		{"zero", run{}, noted, header, remote.PageSum{Status: pgdata.PageZero}, differs},
		{"both zero", run{}, noted, blockfile.Header{}, remote.PageSum{Status: pgdata.PageZero}, same},
		{"page where zeros were", run{}, noted, blockfile.Header{}, sound, differs},
		{"no position in WAL", run{}, noted, blockfile.Header{LSN: 1, Checksum: 77}, remote.PageSum{LSN: 1, Checksum: 77}, doubtful},
		{"no note", run{}, pageSource{}, blockfile.Header{}, sound, doubtful},
		{"no note, zero", run{}, pageSource{}, blockfile.Header{}, remote.PageSum{Status: pgdata.PageZero}, doubtful},
		{"checksums switched on", run{old: &oldControl{}}, noted, header, sound, doubtful},
		{"checksums as before", run{old: &oldControl{Checksums: true}}, noted, header, sound, same},
		{"before the shift", run{mode: IncrementalLSN, shift: 0x6000000}, noted, header, sound, same},
		{"backup behind the shift", run{mode: IncrementalLSN, shift: 0x5800000}, noted, header, sound, doubtful},
		{"page behind the shift", run{mode: IncrementalLSN, shift: 0x4000000}, pageSource{noted: true, stop: 0x4000000, checksums: true}, header, sound, doubtful},
	} {
		k := &worker{writeOut: &writeOut{run: &tt.run}}
		if got := k.judge(&tt.source, tt.header, tt.page); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
