package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/test/pgtest"
)

// pitrVar is how many points of each kind are tried, on how many servers:
// E2E_PITR_POINTS=20 tries all majors.
const pitrVar = "E2E_PITR_POINTS"

func pitrPoints(t testing.TB) (points int, all bool) {
	t.Helper()
	text := os.Getenv(pitrVar)
	if text == "" {
		return 4, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", pitrVar, err)
	}
	return n, true
}

// A restore reaches exactly the state it was aimed at: every kind of target at
// random points of a history, inclusive and exclusive, on the oldest and the
// newest major (all of them with E2E_PITR_POINTS), and across a promotion.
func TestRecoveryTargets(t *testing.T) {
	points, all := pitrPoints(t)
	majors := pgtest.Majors(t)
	if !all {
		majors = []int{majors[0], majors[len(majors)-1]}
	}
	for i, major := range majors {
		for _, seed := range seeds(t, uint64(i+1)) {
			t.Run(fmt.Sprintf("%d/%d", major, seed), func(t *testing.T) {
				t.Parallel()
				testTargets(t, major, seed, points)
			})
		}
	}
}

// aim is a restore with what must come of it.
type aim struct {
	name string
	args []string
	want span
}

func testTargets(t *testing.T, major int, seed uint64, points int) {
	h := newPITRHistory(t, major, seed, "--compress", "-j", "2", "--batch-size", "8")
	for i := range points {
		h.write(12)
		args := h.cat.backupArgs("--no-validate", "--no-sync")
		if i%4 != 0 {
			args = h.cat.incrementArgs("delta", "--no-validate", "--no-sync")
		}
		h.backup(args)
	}
	h.write(20)
	h.seal()
	for _, a := range h.aims(points) {
		t.Run(a.name, func(t *testing.T) { h.restoreTo(t, a) })
	}
	h.latest(t, points)
	h.damagedBehind(t)
	h.promoted(t, points)
}

// aims are targets of all kinds at random states behind the first backup.
func (h *pitrHistory) aims(points int) (list []aim) {
	first := h.inBackup(h.backups[0]).hi + 1
	add := func(name string, want span, args ...string) {
		list = append(list, aim{name: name, args: args, want: want})
	}
	state := func() int { return first + 1 + h.rnd.IntN(len(h.moments)-first-1) }
	for i := range points {
		inclusive := i%2 == 0
		flag := fmt.Sprintf("--recovery-target-inclusive=%t", inclusive)
		less := 0 // what an exclusive target leaves out
		if !inclusive {
			less = 1
		}
		k := state()
		add(fmt.Sprintf("time%d,%t", k, inclusive), exactly(k-less), "--recovery-target-time", h.moments[k-1].at.Format("2006-01-02 15:04:05.000000-07"), flag)
		k = state()
		add(fmt.Sprintf("xid%d,%t", k, inclusive), exactly(k-less), "--recovery-target-xid", h.moments[k-1].xid, flag)
		k = h.exact(state)
		add(fmt.Sprintf("lsn%d,%t", k, inclusive), exactly(k-less), "--recovery-target-lsn", formatLSN(h.moments[k-1].before), flag)
		k = state()
		add(fmt.Sprintf("name%d", k), exactly(k), "--recovery-target-name", h.moments[k-1].point)
		b := h.backups[i]
		add("immediate"+b.ID, h.inBackup(b), "--immediate", "-i", b.ID)
	}
	return list
}

// exact finds a state whose commit record begins right where the log stood
// before it; now and then the server puts something of its own in between.
func (h *pitrHistory) exact(state func() int) int {
	const plainCommit = 40 // bytes, rounded up
	for {
		if k := state(); h.moments[k-1].after-h.moments[k-1].before == plainCommit {
			return k
		}
	}
}

func formatLSN(v uint64) string { return fmt.Sprintf("%X/%X", v>>32, uint32(v)) }

// restoreTo restores and compares.
func (h *pitrHistory) restoreTo(t *testing.T, a aim) result {
	t.Helper()
	dir := filepath.Join(pgtest.TempDir(t), "data")
	res := run(t, h.cat.on("restore", append([]string{"-D", dir, "--no-sync"}, a.args...)...)...)
	if res.code != 0 {
		t.Fatal(res)
	}
	s := pgtest.StartDir(t, h.server.Major, dir, "archive_mode=off")
	s.WaitPrimary(context.Background())
	h.check(t, s, a.want)
	if t.Failed() {
		t.Log(res)
	}
	s.Stop(pgtest.Immediate)
	return res
}

// latest cuts the archive at random segments: recovery goes to its end.
func (h *pitrHistory) latest(t *testing.T, points int) {
	const segSize = 1 << 20
	last := h.moments[len(h.moments)-1].after / segSize
	first := lsn(t, h.backups[0].StopLSN)/segSize + 1
	for range points {
		end := first + h.rnd.Uint64N(last-first+1) // the last segment there is
		t.Run(fmt.Sprintf("latest%X", end), func(t *testing.T) {
			c := h.withArchive(t, func(name string) bool { return segmentOf(name) <= end })
			id := ""
			for _, b := range h.backups {
				if lsn(t, b.StopLSN)/segSize <= end {
					id = b.ID
				}
			}
			other := *h
			other.cat = c
			other.restoreTo(t, aim{args: []string{"--latest", "-i", id}, want: h.upTo((end + 1) * segSize)})
		})
	}
}

// segmentOf is the number of a segment of 1 MB.
func segmentOf(name string) uint64 {
	hi, _ := strconv.ParseUint(name[8:16], 16, 32)
	lo, _ := strconv.ParseUint(name[16:24], 16, 32)
	return hi<<12 | lo
}

// damagedBehind damages the log right behind a target: in the same segment, and
// all of the next one. The server reads further than it replays.
func (h *pitrHistory) damagedBehind(t *testing.T) {
	const segSize = 1 << 20
	k := len(h.moments) - 1
	last := h.moments[k].after / segSize
	end, next := h.moments[k-1].after, h.moments[k].before
	for end/segSize == last || next/segSize != end/segSize {
		k--
		end, next = h.moments[k-1].after, h.moments[k].before
	}
	for _, ahead := range []uint64{0, 1} {
		t.Run(fmt.Sprintf("damaged%d+%d", k, ahead), func(t *testing.T) {
			c := h.withArchive(t, func(string) bool { return true })
			spoil(t, c, end/segSize+ahead, int(next%segSize)+24, ahead == 1)
			other := *h
			other.cat = c
			other.restoreTo(t, aim{args: []string{"--recovery-target-name", h.moments[k-1].point}, want: exactly(k)})
		})
	}
}

// spoil replaces an archived segment: by one with a flipped byte, or by zeros.
func spoil(t *testing.T, c *catalog, segment uint64, at int, whole bool) {
	t.Helper()
	dir := filepath.Join(c.dir, "wal", c.instance)
	name := filepath.Join(dir, fmt.Sprintf("00000001%08X%08X", segment>>12, segment&0xfff))
	zipped, err := os.ReadFile(name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if data[at] ^= 1; whole {
		clear(data)
	}
	if err := errors.Join(os.Remove(name+".gz"), os.WriteFile(name, data, 0o600), account.Own(name)); err != nil {
		t.Fatal(err)
	}
}

// withArchive is a catalog with the same backups and some of the archive.
func (h *pitrHistory) withArchive(t testing.TB, keep func(name string) bool) *catalog {
	t.Helper()
	c := *h.cat
	c.t, c.dir = t, filepath.Join(pgtest.TempDir(t), "catalog")
	wal := filepath.Join(c.dir, "wal", c.instance)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(wal, 0o700))
	must(os.Symlink(filepath.Join(h.cat.dir, "backups"), filepath.Join(c.dir, "backups")))
	old := filepath.Join(h.cat.dir, "wal", c.instance)
	entries, err := os.ReadDir(old)
	must(err)
	for _, e := range entries {
		if len(e.Name()) >= 24 && !keep(e.Name()) {
			continue
		}
		must(os.Link(filepath.Join(old, e.Name()), filepath.Join(wal, e.Name())))
	}
	must(account.Own(c.dir))
	return &c
}

// promoted recovers to a point, lets the copy go on along timeline 2 into the
// same archive, and aims at points on either timeline.
func (h *pitrHistory) promoted(t *testing.T, points int) {
	ctx := context.Background()
	first := h.inBackup(h.backups[0]).hi + 1
	fork := first + 2 + h.rnd.IntN(len(h.moments)-first-4)
	dir := filepath.Join(pgtest.TempDir(t), "data")
	h.cat.ok(h.cat.on("restore", "-D", dir, "--no-sync", "--recovery-target-xid", h.moments[fork-1].xid)...)
	young := &pitrHistory{
		t: t, cat: h.cat, rnd: h.rnd, prefix: "young", moments: append([]moment{}, h.moments[:fork]...), backups: h.backups,
		server: pgtest.StartDir(t, h.server.Major, dir),
	}
	young.server.WaitPrimary(ctx)
	young.check(t, young.server, exactly(fork))
	for range points {
		young.write(6)
	}
	young.seal()
	young.server.Stop(pgtest.Fast)

	tli := []string{"--recovery-target-timeline", "2"}
	state := func() int { return fork + 1 + h.rnd.IntN(len(young.moments)-fork-1) } // a later commit ends recovery to a time
	var aims []aim
	for range points {
		k := state()
		m := young.moments[k-1]
		aims = append(aims,
			aim{name: "time", want: exactly(k), args: append(tli, "--recovery-target-time", m.at.Format("2006-01-02 15:04:05.000000-07"))},
			aim{name: "name", want: exactly(k), args: append(tli, "--recovery-target-name", m.point)},
		)
		k = state()
		aims = append(aims, aim{name: "xid", want: exactly(k), args: append(tli, "--recovery-target-xid", young.moments[k-1].xid)})
	}
	if points < 10 {
		aims = aims[:3]
	}
	aims = append(aims,
		aim{name: "latest", want: exactly(len(young.moments)), args: []string{"--recovery-target-timeline", "latest", "--latest"}},
		aim{name: "before", want: exactly(fork - 1), args: append(tli, "--recovery-target-xid", h.moments[fork-2].xid)})
	for _, a := range aims {
		t.Run(fmt.Sprintf("young/%s%d", a.name, a.want.lo), func(t *testing.T) { young.restoreTo(t, a) })
	}
	t.Run(fmt.Sprintf("old/%d", len(h.moments)), func(t *testing.T) {
		res := h.restoreTo(t, aim{want: exactly(len(h.moments)), args: []string{"--latest", "-i", h.backups[0].ID}})
		if !strings.Contains(res.stderr, "WARNING: Timeline 2 branched off at ") {
			t.Errorf("the other timeline is not told of\n%v", res)
		}
	})
}
