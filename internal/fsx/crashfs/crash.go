package crashfs

import (
	"maps"
	"slices"
	"time"
)

// sector is the unit in which a torn write reaches the disk.
const sector = 512

// restartTime is how much older all files are after a restart.
const restartTime = time.Minute

// Pick chooses one of n possibilities, 0..n-1. The function is called in a
// fixed order for a given file system; 0 is always "what is durable".
type Pick func(n int) int

// Worst keeps only what is durable.
func Worst(int) int { return 0 }

// Best keeps everything.
func Best(n int) int { return n - 1 }

// Crash ends f: all later operations on it and its files give ErrCrashed. It
// returns the file system found after a restart, holding what was durable.
func (f *FS) Crash() *FS {
	after := f.AfterCrash(Worst)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return after
}

// AfterCrash returns what a restart could find if f crashed now; f goes on.
// In every directory pick says how many of the changes that were not durable
// survive (they do so in order); for every file with unsynced content it says
// whether the durable content survives, a mixture, or the current content.
// Everything in the result is durable.
func (f *FS) AfterCrash(pick Pick) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := survivors{pick: pick, done: map[*node]*node{}}
	return &FS{root: s.survivor(f.root), space: f.space}
}

type survivors struct {
	pick Pick
	done map[*node]*node // a file with two names is one file afterwards
}

func (s *survivors) survivor(n *node) *node {
	if after, ok := s.done[n]; ok {
		return after
	}
	after := &node{mode: n.durable.mode, mtime: n.mtime.Add(-restartTime), target: n.target}
	s.done[n] = after
	if n.mode != n.durable.mode && s.pick(2) == 1 {
		after.mode = n.mode
	}
	switch {
	case n.mode.IsDir():
		entries := maps.Clone(n.durable.entries)
		for _, c := range n.pending[:s.pick(len(n.pending)+1)] {
			applyTo(entries, c)
		}
		after.entries = map[string]*node{}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			after.entries[name] = s.survivor(entries[name])
		}
	case n.mode.IsRegular():
		after.data = s.content(n.durable.data, n.data)
	}
	after.sync()
	return after
}

// content chooses what is left of a file.
func (s *survivors) content(old, now []byte) []byte {
	if slices.Equal(old, now) {
		return slices.Clone(old)
	}
	switch s.pick(3) {
	case 0:
		return slices.Clone(old)
	case 2:
		return slices.Clone(now)
	}
	// Size and sectors reach the disk independently of each other; what was
	// never written reads as zeros.
	size := len(old)
	if s.pick(2) == 1 {
		size = len(now)
	}
	torn := make([]byte, size)
	copy(torn, old)
	for off := 0; off < size; off += sector {
		if s.pick(2) == 1 && off < len(now) {
			copy(torn[off:min(off+sector, size)], now[off:])
		}
	}
	return torn
}
