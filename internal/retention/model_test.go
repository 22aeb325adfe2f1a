package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog"

	"pgregory.net/rapid"
)

// model says what Decide has to, in the words of the specification and as
// naively as can be: sets of indices into the list, every question answered by
// searching.
type model struct {
	list catalog.List
	p    Policy
	now  time.Time
}

func (m model) parent(i int) int {
	b := m.list[i]
	if b.Mode == catalog.ModeFull || b.ParentID == 0 {
		return -1
	}
	return slices.IndexFunc(m.list, func(x *catalog.Backup) bool { return x.ID == b.ParentID })
}

// ancestors are the IDs above i; a circle ends where it closes.
func (m model) ancestors(i int) (above []int) {
	for p := m.parent(i); p >= 0 && p != i && !slices.Contains(above, p); p = m.parent(p) {
		above = append(above, p)
	}
	return above
}

// root is the FULL of i, -1 for a broken chain.
func (m model) root(i int) int {
	if top := m.top(i); m.list[top].Mode == catalog.ModeFull {
		return top
	}
	return -1
}

func (m model) inRedundancy(i int) bool {
	root := m.root(i)
	if root < 0 || !m.list[root].Status.Usable() {
		return false
	}
	newer := 0
	for k := range root {
		if m.list[k].Mode == catalog.ModeFull && m.list[k].Status.Usable() && !m.future(k) {
			newer++
		}
	}
	return newer < int(m.p.Redundancy)
}

// future: the clock was wrong when it was taken.
func (m model) future(i int) bool { return m.list[i].StartTime().After(m.now.Add(time.Minute)) }

func (m model) inWindow(i int) bool {
	t := m.list[i].RecoveryTime
	if t.IsZero() {
		t = m.list[i].StartTime()
	}
	if m.p.Elapsed {
		return m.p.Window > 0 && t.Unix()+int64(m.p.Window)*86400 >= m.now.Unix()
	}
	day := m.now
	for range m.p.Window { // today, yesterday, ...
		if t.In(m.now.Location()).Format(time.DateOnly) >= day.Format(time.DateOnly) {
			return true
		}
		y, mo, d := day.Date()
		day = time.Date(y, mo, d-1, 12, 0, 0, 0, m.now.Location())
	}
	return false
}

func (m model) expired(i int) bool {
	policy := m.p.Redundancy > 0 || m.p.Window > 0
	return policy && !m.inRedundancy(i) && !m.inWindow(i) && !m.list[i].ExpireTime.After(m.now)
}

func (m model) top(i int) int {
	chain := append([]int{i}, m.ancestors(i)...)
	return chain[len(chain)-1]
}

func (m model) twin(i int) bool {
	return slices.ContainsFunc(m.list, func(b *catalog.Backup) bool { return b != m.list[i] && b.ID == m.list[i].ID })
}

func (m model) damaged(i int) bool {
	b := m.list[i]
	return b.Unreadable && !b.NoControl || !b.Unreadable && (b.Mode == catalog.ModeInvalid || b.Status == catalog.StatusUnknown)
}

func (m model) guarded(i int) bool {
	b := m.list[i]
	for f, full := range m.list {
		if full.Mode != catalog.ModeFull {
			continue
		}
		if full.Status == catalog.StatusMerged && f == i {
			return true
		}
		dest := slices.IndexFunc(m.list, func(x *catalog.Backup) bool { return x.ID == full.MergeDestID })
		if full.Status == catalog.StatusMerging && dest >= 0 && m.root(dest) == f &&
			(i == dest || slices.Contains(m.ancestors(dest), i)) {
			return true
		}
		if m.onMerge(i, f, dest) {
			return true
		}
	}
	return m.twin(i) || m.damaged(i) || m.damaged(m.top(i)) || m.behindDamaged(i) || b.NoControl && m.now.Sub(b.StartTime()) < time.Hour
}

// onMerge: i comes to rest on what FULL f and dest, -1 if that is gone, become.
func (m model) onMerge(i, f, dest int) bool {
	full := m.list[f]
	based := func(id catalog.ID) bool {
		return slices.ContainsFunc(m.ancestors(i), func(x int) bool { return m.list[x].ID == id })
	}
	switch {
	case full.MergeDestID == 0:
		return false
	case full.Status == catalog.StatusMerging:
		return dest >= 0 && m.root(dest) == f && based(full.ID)
	case full.Status == catalog.StatusMerged && dest >= 0:
		return based(full.MergeDestID)
	case full.Status == catalog.StatusMerged:
		top := m.list[m.top(i)]
		return top.Mode != catalog.ModeFull && top.ParentID == full.MergeDestID
	}
	return false
}

// behindDamaged: no good FULL stands between i and a newer damaged backup.
func (m model) behindDamaged(i int) bool {
	for k := i - 1; k >= 0; k-- {
		if m.damaged(k) {
			return true
		}
		if m.list[k].Mode == catalog.ModeFull && m.list[k].Status.Usable() {
			return false
		}
	}
	return false
}

// merges tells whether k becomes a FULL.
func (m model) merges(k int) bool {
	root, parent := m.root(k), m.parent(k)
	if !m.p.Merge || m.expired(k) || parent < 0 || !m.expired(parent) || root < 0 || root == k {
		return false
	}
	full, above := m.list[root], m.ancestors(k)
	retry := full.MergeDestID == m.list[k].ID && (full.Status == catalog.StatusMerging || full.Status == catalog.StatusMerged)
	for _, x := range append([]int{k}, above...) {
		if x != k && !m.expired(x) || m.behindDamaged(x) {
			return false
		}
		if !retry && (m.guarded(x) || !m.list[x].Status.Usable()) {
			return false
		}
		if m.twin(x) || m.damaged(x) || m.damaged(m.top(x)) {
			return false
		}
	}
	for i := range m.list {
		if i == k || slices.Contains(above, i) || m.p.Delete && m.expired(i) && !m.guarded(i) {
			continue
		}
		path := m.ancestors(i)
		if at := slices.Index(path, k); at >= 0 {
			path = path[:at]
		}
		if slices.ContainsFunc(path, func(x int) bool { return slices.Contains(above, x) }) {
			return false
		}
	}
	return true
}

func (m model) action(i int) Action {
	for k := range m.list {
		if m.merges(k) && (i == k || slices.Contains(m.ancestors(k), i)) {
			return Merge
		}
	}
	if !m.p.Delete || !m.expired(i) || m.guarded(i) {
		return Keep
	}
	for k := range m.list {
		if m.expired(k) && !m.guarded(k) || m.merges(k) {
			continue // does not stay, or needs nobody
		}
		for _, x := range m.ancestors(k) {
			if m.merges(x) {
				break
			}
			if m.list[x].ID == m.list[i].ID && k != i {
				return Keep
			}
		}
	}
	return Delete
}

var testZones = []string{"UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati"}

// oneIn is true about once in n times. rapid prefers small numbers, so what is
// usual comes first.
func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(0, n-1).Draw(t, label) == n-1
}

func drawBackup(t *rapid.T, id catalog.ID, ids []catalog.ID, now time.Time) *catalog.Backup {
	b := &catalog.Backup{ID: id, Mode: catalog.ModePtrack, Status: catalog.StatusOK}
	switch {
	case len(ids) == 0, oneIn(t, 3, "full"):
		b.Mode = catalog.ModeFull
	case oneIn(t, 3, "branch"):
		b.ParentID = rapid.SampledFrom(ids).Draw(t, "parent")
	case oneIn(t, 9, "broken"):
		b.ParentID = rapid.SampledFrom([]catalog.ID{0, 12345, id, id + 5}).Draw(t, "parent")
	default:
		b.ParentID = ids[len(ids)-1]
	}
	if oneIn(t, 4, "odd") {
		b.Status = rapid.SampledFrom([]catalog.Status{catalog.StatusDone, catalog.StatusMerging, catalog.StatusMerged,
			catalog.StatusDeleting, catalog.StatusRunning, catalog.StatusCorrupt, catalog.StatusUnknown}).Draw(t, "status")
	}
	if b.Mode == catalog.ModeFull && (b.Status == catalog.StatusMerging || b.Status == catalog.StatusMerged) {
		b.MergeDestID = id + 5*catalog.ID(rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "dest"))
	}
	if !oneIn(t, 9, "no recovery time") {
		b.RecoveryTime = b.StartTime().Add(time.Duration(rapid.IntRange(0, 90000).Draw(t, "took")) * time.Second)
	}
	if oneIn(t, 6, "pin") {
		b.ExpireTime = now.Add(time.Duration(rapid.IntRange(-50, 50).Draw(t, "ttl")) * time.Hour)
	}
	if oneIn(t, 12, "unreadable") {
		b = &catalog.Backup{ID: id, Unreadable: true, NoControl: rapid.Bool().Draw(t, "gone")}
	}
	return b
}

// drawCatalog makes a list, newest first. IDs are five apart or days, so that
// merge destinations are hit.
func drawCatalog(t *rapid.T) (catalog.List, time.Time) {
	zone, err := time.LoadLocation(rapid.SampledFrom(testZones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_793_000_000+rapid.Int64Range(0, 31_536_000).Draw(t, "now"), 0).In(zone)
	var list catalog.List
	var ids []catalog.ID
	id := catalog.ID(now.Unix() - 86400*rapid.Int64Range(1, 12).Draw(t, "days") - rapid.Int64Range(0, 86399).Draw(t, "seconds"))
	for range rapid.IntRange(0, 12).Draw(t, "backups") {
		list = append(list, drawBackup(t, id, ids, now))
		ids = append(ids, id)
		id += rapid.SampledFrom([]catalog.ID{86400, 5, 100000, 3600, 0}).Draw(t, "gap")
	}
	slices.Reverse(list)
	for i, b := range list {
		b.Dir = fmt.Sprintf("/i/%d", i)
	}
	return list, now
}

func drawPolicy(t *rapid.T) Policy {
	return Policy{
		Redundancy: uint32(rapid.IntRange(0, 3).Draw(t, "redundancy")),
		Window:     uint32(rapid.IntRange(0, 9).Draw(t, "window")),
		Elapsed:    rapid.Bool().Draw(t, "elapsed"),
		Merge:      rapid.Bool().Draw(t, "merge"),
		Delete:     rapid.Bool().Draw(t, "delete"),
	}
}

// check is rapid.Check with more cases; they are cheap.
func check(t *testing.T, prop func(*rapid.T)) {
	for range 20 {
		rapid.Check(t, prop)
	}
}

func TestDecideEqualsTheModel(t *testing.T) {
	check(t, func(t *rapid.T) {
		list, now := drawCatalog(t)
		p := drawPolicy(t)
		m := model{list, p, now}
		plan := Decide(list, p, now)
		if len(plan.Decisions) != len(list) {
			t.Fatalf("%d decisions about %d backups", len(plan.Decisions), len(list))
		}
		for i, x := range plan.Decisions {
			if x.Backup != list[i] || x.Expired != m.expired(i) || x.Action != m.action(i) || len(x.Reasons) == 0 {
				t.Errorf("backup %s (%d): expired %t, %s because %v; want expired %t, %s",
					x.Backup.ID, i, x.Expired, x.Action, x.Reasons, m.expired(i), m.action(i))
			}
		}
	})
}

// Nothing that a backup which stays needs may go, and nothing goes that is
// pinned or that the policy keeps, whatever the decisions are based on.
func TestNothingNeededGoes(t *testing.T) {
	check(t, func(t *rapid.T) {
		list, now := drawCatalog(t)
		plan := Decide(list, drawPolicy(t), now)
		dest := map[*catalog.Backup]bool{}
		gone := map[*catalog.Backup]bool{}
		for _, step := range plan.Merges {
			for _, b := range step.Chain {
				gone[b] = gone[b] || b != step.Backup
				dest[b] = b == step.Backup
			}
		}
		for _, x := range plan.Decisions {
			if x.Action == Delete {
				gone[x.Backup] = true
			}
			if gone[x.Backup] && (x.Backup.ExpireTime.After(now) || !x.Expired) {
				t.Errorf("backup %s goes: %+v", x.Backup.ID, x)
			}
		}
		for _, b := range list {
			for seen, x := 0, b; !gone[b] && !dest[x] && x.Mode != catalog.ModeFull && seen < len(list); seen++ {
				parent := list.ByID(x.ParentID)
				if parent == nil || x.ParentID == 0 {
					break // broken before
				}
				if gone[parent] {
					t.Errorf("backup %s stays, its ancestor %s goes:\n%s", b.ID, parent.ID, describe(plan))
				}
				x = parent
			}
		}
	})
}

// describe prints a plan for failing tests.
func describe(plan Plan) string {
	var s strings.Builder
	for _, x := range plan.Decisions {
		b := x.Backup
		fmt.Fprintf(&s, "%s %s parent %s %s unreadable %t: expired %t, %s because %v\n",
			b.ID, b.Mode, b.ParentID, b.Status, b.Unreadable, x.Expired, x.Action, x.Reasons)
	}
	return s.String()
}
