package pagecopy

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// go test -bench Copy -benchtime 3x ./internal/pagecopy -copy.dir /var/tmp -copy.mib 1024
var (
	benchDir   = flag.String("copy.dir", "", "where benchmarks put their trees")
	benchMiB   = flag.Int("copy.mib", 256, "size of the benchmark's data files")
	benchSmall = flag.Int("copy.small", 2000, "number of small files")
)

// fillPage makes a sound page with text-like content, so that it compresses
// about as real tables do.
func fillPage(page []byte, absBlock uint32, rng *rand.Rand) {
	clear(page)
	le := binary.LittleEndian
	le.PutUint32(page[0:], 1)
	le.PutUint32(page[4:], absBlock+1)
	le.PutUint16(page[12:], 300)
	le.PutUint16(page[14:], 400)
	le.PutUint16(page[16:], 8192)
	le.PutUint16(page[18:], 8192|4)
	for i := 400; i+8 <= len(page); i += 8 {
		if v := rng.Uint64(); v&1 == 0 {
			le.PutUint64(page[i:], v)
		} else {
			le.PutUint64(page[i:], uint64(i/64))
		}
	}
	le.PutUint16(page[8:], pgdata.PageChecksum(page, absBlock, pgdata.PostgreSQL))
}

// makeTree writes a data directory: big relations, many small ones and plain
// files. It returns the tasks and the number of bytes.
func makeTree(tb testing.TB, dir, dest string, mib, small int) ([]Task, int64) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var tasks []Task
	total := int64(0)
	add := func(path string, pages, base uint32, kind Kind) {
		buf := make([]byte, int(pages)*blockfile.PageSize)
		for b := range pages {
			fillPage(buf[int(b)*blockfile.PageSize:][:blockfile.PageSize], base+b, rng)
		}
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			tb.Fatal(err)
		}
		f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write(buf); err != nil {
			tb.Fatal(err)
		}
		if err := f.Close(); err != nil {
			tb.Fatal(err)
		}
		total += int64(len(buf))
		if base == 0 {
			tasks = append(tasks, Task{Dirs: &Dirs{Source: dir, Dest: dest}, Path: path, Mode: 0o600, Kind: kind})
		}
		tasks[len(tasks)-1].Size += int64(len(buf))
	}
	// One relation holds half of the data, the rest is split.
	for i, share := range []int{2, 8, 8, 16, 16, 16, 16} {
		path := fmt.Sprintf("base/5/%d", 16384+i)
		for b := uint32(0); b < uint32(mib/share)*128; b += 1024 {
			add(path, min(1024, uint32(mib/share)*128-b), b, Pages)
		}
	}
	for i := range small {
		path := fmt.Sprintf("base/%d/%d", 10+i/500, 1000+i)
		if i%4 == 3 {
			add(path+"_fsm", 3, 0, Plain)
		} else {
			add(path, uint32(1+i%4), 0, Pages)
		}
	}
	return tasks, total
}

func makeDirs(tb testing.TB, tasks []Task) {
	tb.Helper()
	for i := range tasks {
		if err := os.MkdirAll(filepath.Dir(tasks[i].dest()), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	root, err := os.MkdirTemp(*benchDir, "pagecopy")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(root)
	src, dest := filepath.Join(root, "data"), filepath.Join(root, "out")
	tasks, total := makeTree(b, src, dest, *benchMiB, *benchSmall)
	syncAll := func() {
		if out, err := exec.Command("sync", "-f", root).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	prepare := func() {
		b.StopTimer()
		if err := os.RemoveAll(dest); err != nil {
			b.Fatal(err)
		}
		syncAll()
		b.StartTimer()
	}
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("cp/sync=%v", sync), func(b *testing.B) {
			b.SetBytes(total)
			cpu := cpuMeter{who: syscall.RUSAGE_CHILDREN}
			for b.Loop() {
				prepare()
				cpu.start()
				if out, err := exec.Command("cp", "-a", src, dest).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				if sync {
					syncAll()
				}
				cpu.stop()
			}
			cpu.report(b)
		})
		for _, j := range []int{1, 2, 4} {
			for _, alg := range []compress.Algorithm{compress.None, compress.Zlib, compress.LZ4} {
				b.Run(fmt.Sprintf("%s/j=%d/sync=%v", alg, j, sync), func(b *testing.B) {
					b.SetBytes(total)
					cpu := cpuMeter{who: syscall.RUSAGE_SELF}
					for b.Loop() {
						prepare()
						makeDirs(b, tasks)
						cpu.start()
						err := Copy(context.Background(), Options{
							Source: remote.Local(fsx.OS()), Out: fsx.OS(), Workers: j, NoSync: !sync,
							Headers: blockfile.NewMapWriter(io.Discard), Alg: alg, Level: 1,
							Rules: pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true},
						}, tasks)
						if err != nil {
							b.Fatal(err)
						}
						cpu.stop()
					}
					cpu.report(b)
					b.ReportMetric(peakRSS(b), "peak-MB")
				})
			}
		}
	}
}

// cpuMeter sums the processor time of the measured parts, which tells more
// than the wall clock on a busy machine.
type cpuMeter struct {
	who  int
	sum  float64
	from float64
}

func (m *cpuMeter) used() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(m.who, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func (m *cpuMeter) start()              { m.from = m.used() }
func (m *cpuMeter) stop()               { m.sum += m.used() - m.from }
func (m *cpuMeter) report(b *testing.B) { b.ReportMetric(m.sum/float64(b.N), "cpu-ms/op") }

// peakRSS is the most memory the process has used so far, in MB.
func peakRSS(tb testing.TB) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	runtime.GC()
	for line := range strings.Lines(string(data)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}
