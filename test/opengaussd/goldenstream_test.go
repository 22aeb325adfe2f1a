package opengaussd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walstream"
	"gsprobackup/test/golden"
	"gsprobackup/test/opengaussd/ogdata"
	"gsprobackup/test/opengaussd/ogwal"
)

// goldenWAL are whole segments of a real server: two as they lie in its pg_xlog
// (golden 13_raw_server_files), and those that C has stored from the stream in
// its backups.
func goldenWAL(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range []string{"00000001000000000000005A", "00000001000000000000005B"} {
		f, err := os.Open("../../internal/wal/testdata/og6_" + name + ".zst")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() // read only
		z, err := zstd.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if out[name], err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
		z.Close()
	}
	for _, name := range []string{golden.Mixed, golden.Zlib} {
		m, c := golden.Start(t, name)
		for _, id := range c.Backups {
			files, err := filepath.Glob(m.Path(c.BackupDir(id)) + "/database/pg_xlog/*")
			if err != nil || len(files) == 0 {
				t.Fatalf("%s has no WAL, %v", id, err)
			}
			for _, f := range files {
				if out[filepath.Base(f)], err = os.ReadFile(f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return out
}

// TestGoldenStream: real WAL goes through a walsender and comes to the bytes
// that C has stored, whole segments under their names, the rest as .partial.
func TestGoldenStream(t *testing.T) {
	t.Parallel()
	segments := goldenWAL(t)
	if len(segments) < 9 {
		t.Fatalf("only %d segments", len(segments))
	}
	const mib = 1 << 20
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true, NoRowCompressed: true}, Config{Chunks: []int{1, 8191, 24576, mib - 32768}})
	for name, b := range segments {
		if len(b) != ogwal.SegSize {
			t.Fatalf("segment %s has %d bytes", name, len(b))
		}
		if err := os.WriteFile(filepath.Join(w.cluster.Dir(), "pg_xlog", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range segments {
		_, number, err := wal.ParseSegmentName(name, ogwal.SegSize)
		if err != nil {
			t.Fatal(err)
		}
		lsn := wal.SegmentStart(number, ogwal.SegSize)
		dir, err := w.receive(t, lsn, lsn+ogwal.SegSize)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("segment %s differs from C's, %v", name, err)
		}
	}

	// The stop position lies within the segment.
	dir, err := w.receive(t, 0x5A000000, 0x5A000000+3*mib)
	if err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Clone(segments["00000001000000000000005A"][:3*mib]), make([]byte, 13*mib)...)
	got, err := os.ReadFile(filepath.Join(dir, "00000001000000000000005A.partial"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the partial segment differs, %v", err)
	}

	// The server ends the stream before: what has come stays.
	w.srv.InjectStream(StreamFault{At: 0x5B000000 + 2*mib + 100, Drop: true})
	dir, err = w.receive(t, 0x5A000000, 0x5C000000)
	if err == nil {
		t.Error("a stream that was cut ended well")
	}
	first, rerr := os.ReadFile(filepath.Join(dir, "00000001000000000000005A"))
	rest, perr := os.ReadFile(filepath.Join(dir, "00000001000000000000005B.partial"))
	if errors.Join(rerr, perr) != nil || !bytes.Equal(first, segments["00000001000000000000005A"]) {
		t.Fatalf("the segment before the cut differs, %v, %v", rerr, perr)
	}
	want = segments["00000001000000000000005B"]
	if !bytes.Equal(rest[:2*mib+100], want[:2*mib+100]) || !bytes.Equal(rest[2*mib+100:], make([]byte, 14*mib-100)) {
		t.Error("the segment of the cut differs")
	}
}

// receive streams from start until stop as a backup does.
func (w *world) receive(t *testing.T, start, stop wal.LSN) (dir string, err error) {
	t.Helper()
	conn := w.mustConnect()
	repl, err := conn.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, repl)
	stream, err := repl.StartReplication(t.Context(), conn.Flavor().ReplicationStartCommand("", start, 1))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	r, err := walstream.Start(t.Context(), stream, walstream.Options{
		Dialect: walstream.OpenGauss(), FS: fsx.OS(), Dir: dir, Timeline: 1, Start: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Stop(stop)
	return dir, r.Wait()
}
