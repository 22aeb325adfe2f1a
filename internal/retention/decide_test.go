package retention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
)

// today is the day of the recorded transcripts.
var today = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

// parse makes a list, newest first, from lines "NAME PARENT DAYS STATUS
// OPTION...". IDs are small for names, times go by DAYS ago at noon.
func parse(t *testing.T, text string) (catalog.List, map[catalog.ID]string) {
	t.Helper()
	var list catalog.List
	names, ids := map[catalog.ID]string{0: "-"}, map[string]catalog.ID{"-": 0, "gone": 4711}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	id := catalog.ID(today.Unix() - 100*86400)
	for i := len(lines) - 1; i >= 0; i-- {
		id++
		name := strings.Fields(lines[i])[0]
		ids[name], names[id] = id, name
	}
	for _, line := range lines {
		f := strings.Fields(line)
		var days int
		if _, err := fmt.Sscan(f[2], &days); err != nil {
			t.Fatal(err)
		}
		b := &catalog.Backup{ID: ids[f[0]], Mode: catalog.ModePtrack, ParentID: ids[f[1]], Dir: "/" + f[0]}
		if f[1] == "-" {
			b.Mode = catalog.ModeFull
		}
		b.Status, _ = catalog.MatchStatus(f[3])
		b.RecoveryTime = time.Date(2026, 11, 22-days, 12, 0, 0, 0, time.UTC)
		for _, o := range f[4:] {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "pin":
				b.ExpireTime = today.AddDate(0, 0, 1)
			case "pinned-till-yesterday":
				b.ExpireTime = today.AddDate(0, 0, -1)
			case "dest":
				b.MergeDestID = ids[value]
			case "damaged":
				*b = catalog.Backup{ID: b.ID, Dir: b.Dir, Unreadable: true}
			case "no-control":
				*b = catalog.Backup{ID: b.ID, Dir: b.Dir, Unreadable: true, NoControl: true}
			}
		}
		list = append(list, b)
	}
	return list, names
}

// explain prints a plan with names.
func explain(p Plan, names map[catalog.ID]string) string {
	var s strings.Builder
	for _, x := range p.Decisions {
		fmt.Fprintf(&s, "%s %s:", names[x.Backup.ID], x.Action)
		for i, r := range x.Reasons {
			word := " "
			if i > 0 {
				word = " and "
			}
			s.WriteString(word + strings.ReplaceAll(r.String(), r.Backup.String(), names[r.Backup]))
		}
		s.WriteString("\n")
	}
	for _, m := range p.Merges {
		fmt.Fprintf(&s, "merge %s", names[m.Backup.ID])
		for _, b := range m.Chain {
			s.WriteString(" " + names[b.ID])
		}
		if m.Obstacle != None {
			fmt.Fprintf(&s, " obstacle %d", m.Obstacle)
		}
		if m.By != nil {
			s.WriteString(" by " + names[m.By.ID])
		}
		s.WriteString("\n")
	}
	return s.String()
}

func TestDecideWithReasons(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		list   string
		want   string
	}{
		{"no policy", Policy{Delete: true, Merge: true}, `
F - 50 OK`, `
F keep: no retention policy is set`},
		{"redundancy counts good FULLs", Policy{Redundancy: 1, Delete: true}, `
F3 - 0 ERROR
i2 F2 1 CORRUPT
F2 - 2 DONE
F1 - 3 OK`, `
F3 delete: it is expired
i2 keep: its FULL backup F2 is within redundancy
F2 keep: its FULL backup F2 is within redundancy
F1 delete: it is expired`},
		{"both rules have to be violated", Policy{Redundancy: 1, Window: 3, Delete: true}, `
F3 - 1 OK
F2 - 2 OK
F1 - 3 OK`, `
F3 keep: its FULL backup F3 is within redundancy and it is within the window
F2 keep: it is within the window
F1 delete: it is expired`},
		{"a kept increment keeps its chain", Policy{Window: 3, Delete: true}, `
c b 2 OK
b a 3 OK
a F 4 OK
F - 5 OK`, `
c keep: it is within the window
b keep: backup c needs it
a keep: backup c needs it
F keep: backup c needs it`},
		{"so does a pinned one", Policy{Redundancy: 1, Delete: true}, `
F2 - 0 OK
b a 3 OK
a F 4 OK pin
F - 5 OK pinned-till-yesterday`, `
F2 keep: its FULL backup F2 is within redundancy
b delete: it is expired
a keep: it is pinned
F keep: backup a needs it`},
		{"a broken chain", Policy{Redundancy: 5, Delete: true}, `
b gone 0 OK
F - 5 OK`, `
b delete: it is expired
F keep: its FULL backup F is within redundancy`},
		{"deleting was not asked for", Policy{Redundancy: 1, Merge: true}, `
F2 - 0 OK
F - 5 OK`, `
F2 keep: its FULL backup F2 is within redundancy
F keep: it is expired, but deleting was not asked for`},
		{"an unfinished merge", Policy{Redundancy: 1, Delete: true}, `
F3 - 0 OK
c b 1 MERGING
b F2 2 MERGING
F2 - 3 MERGING dest=b
F1 - 4 MERGED dest=gone
F0 - 5 MERGING dest=gone`, `
F3 keep: its FULL backup F3 is within redundancy
c keep: it is based on the unfinished merge of backup F2
b keep: it is part of an unfinished merge
F2 keep: it is part of an unfinished merge
F1 keep: it is part of an unfinished merge
F0 delete: it is expired`},
		{"orphans of a merge that has still to take its ID", Policy{Redundancy: 1, Delete: true}, `
F3 - 0 OK
d c 1 ORPHAN
c gone 1 OK
x lost 2 ORPHAN
F2 - 3 MERGED dest=gone`, `
F3 keep: its FULL backup F3 is within redundancy
d keep: it is based on the unfinished merge of backup F2
c keep: it is based on the unfinished merge of backup F2
x delete: it is expired
F2 keep: it is part of an unfinished merge`},
		{"a damaged control file", Policy{Redundancy: 1, Delete: true}, `
F3 - 0 OK
c b 1 OK
b x 1 OK damaged
a F2 2 OK
F2 - 3 OK
F1 - 4 OK no-control`, `
F3 keep: its FULL backup F3 is within redundancy
c keep: it may belong to the chain of backup b, whose control file is damaged
b keep: its control file is damaged
a keep: it may belong to the chain of backup b, whose control file is damaged
F2 keep: it may belong to the chain of backup b, whose control file is damaged
F1 delete: it is expired`},
		{"merge", Policy{Window: 3, Merge: true, Delete: true}, `
d c 1 OK
c b 2 OK
b a 3 OK
a F 4 OK
F - 5 OK
F0 - 6 OK`, `
d keep: it is within the window
c merge: it is within the window
b merge: it becomes part of backup c
a merge: it becomes part of backup c
F merge: it becomes part of backup c
F0 delete: it is expired
merge c F a b c`},
		{"not over a pinned member", Policy{Window: 2, Merge: true, Delete: true}, `
c b 1 OK
b a 3 OK
a F 4 OK pin
F - 5 OK`, `
c keep: it is within the window
b keep: backup c needs it
a merge: it is pinned
F merge: it becomes part of backup a
merge c obstacle 3 by a
merge a F a`},
		{"two branches", Policy{Window: 2, Merge: true, Delete: true}, `
b F 1 OK
a F 1 OK
F - 5 OK`, `
b keep: it is within the window
a keep: it is within the window
F keep: backup b needs it
merge b obstacle 4 by a
merge a obstacle 4 by b`},
		{"an expired branch goes first", Policy{Window: 2, Merge: true, Delete: true}, `
b F 1 OK
a F 4 OK
F - 5 OK`, `
b merge: it is within the window
a delete: it is expired
F merge: it becomes part of backup b
merge b F b`},
		{"or stays and is in the way", Policy{Window: 2, Merge: true}, `
b F 1 OK
a F 4 OK
F - 5 OK`, `
b keep: it is within the window
a keep: it is expired, but deleting was not asked for
F keep: backup b needs it
merge b obstacle 4 by a`},
		{"a pinned FULL, a broken chain", Policy{Window: 2, Merge: true, Delete: true}, `
d c 1 OK
c gone 4 OK
b a 1 OK
a F 4 OK
F - 5 OK pin`, `
d keep: it is within the window
c keep: backup d needs it
b keep: it is within the window
a keep: backup b needs it
F keep: it is pinned
merge d obstacle 1
merge b obstacle 2 by F`},
		{"a running backup is not merged", Policy{Window: 2, Merge: true, Delete: true}, `
a F 0 RUNNING
F - 5 OK`, `
a keep: it is within the window
F keep: backup a needs it
merge a obstacle 5 by a`},
		{"an unfinished merge is called again", Policy{Window: 2, Merge: true, Delete: true}, `
a F 0 MERGING
F - 5 MERGING dest=a`, `
a merge: it is within the window
F merge: it becomes part of backup a
merge a F a`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, names := parse(t, tt.list)
			if got := explain(Decide(list, tt.policy, today), names); got != tt.want[1:]+"\n" {
				t.Errorf("got:\n%swant:%s", got, tt.want)
			}
		})
	}
}

// Days are those of the calendar where the tool runs; release 1.1 counts
// hours. The C tool takes the zone for whole hours and its day for that of UTC.
func TestWindow(t *testing.T) {
	at := func(zone, text string) time.Time {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		tm, err := time.ParseInLocation("2006-01-02 15:04:05", text, loc)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	for _, tt := range []struct {
		zone, now, taken string
		age, elapsed     int64
	}{
		{"UTC", "2026-11-22 00:00:00", "2026-11-21 23:59:59", 1, 0},
		{"UTC", "2026-11-22 23:59:59", "2026-11-22 00:00:00", 0, 0},
		{"UTC", "2026-11-22 08:32:00", "2026-11-01 08:27:11", 21, 21}, // as recorded
		{"Asia/Kolkata", "2026-11-22 00:10:00", "2026-11-21 23:50:00", 1, 0},
		{"Asia/Kolkata", "2026-11-22 05:10:00", "2026-11-22 00:10:00", 0, 0}, // another day in UTC
		{"America/New_York", "2026-11-01 23:30:00", "2026-10-31 23:30:00", 1, 1},
		{"America/New_York", "2026-11-02 00:30:00", "2026-11-01 00:30:00", 1, 1}, // 25 hours
		{"America/New_York", "2026-03-09 00:10:00", "2026-03-08 00:10:00", 1, 0}, // 23 hours
		{"UTC", "2026-11-22 08:00:00", "2026-12-24 08:00:00", 0, 0},              // a clock that was wrong
	} {
		now, taken := at(tt.zone, tt.now), at(tt.zone, tt.taken).UTC()
		for _, p := range []Policy{{}, {Elapsed: true}} {
			want := tt.age
			if p.Elapsed {
				want = tt.elapsed
			}
			if got := p.age(taken, now); got != want {
				t.Errorf("%v: %s is %d days before %s in %s, want %d", p, tt.taken, got, tt.now, tt.zone, want)
			}
		}
		inside := Policy{Window: uint32(tt.age) + 1}
		if !inside.insideWindow(taken, now) {
			t.Errorf("%s is not inside %d days before %s", tt.taken, inside.Window, tt.now)
		}
		outside := Policy{Window: uint32(tt.age)}
		if tt.age > 0 && outside.insideWindow(taken, now) {
			t.Errorf("%s is inside %d days before %s", tt.taken, outside.Window, tt.now)
		}
	}
	huge := Policy{Window: 1<<32 - 1}
	for _, p := range []Policy{huge, {Window: huge.Window, Elapsed: true}} {
		if !p.insideWindow(time.Unix(1, 0), today) {
			t.Errorf("%+v has an end", p)
		}
	}
}

// After the clock was put back the backups of the future must not push out
// those that are taken now.
func TestFutureBackups(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	full := func(at time.Time) *catalog.Backup {
		return &catalog.Backup{ID: catalog.ID(at.Unix()), Mode: catalog.ModeFull, Status: catalog.StatusOK, RecoveryTime: at, Dir: at.String()}
	}
	list := catalog.List{full(now.AddDate(4, 0, 0)), full(now), full(now.AddDate(0, 0, -1))}
	for i, want := range []Action{Keep, Keep, Delete} {
		if x := Decide(list, Policy{Redundancy: 1, Delete: true}, now).Decisions[i]; x.Action != want {
			t.Errorf("backup %d: %s because %v, want %s", i, x.Action, x.Reasons, want)
		}
	}
}
