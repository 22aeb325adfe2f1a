package restore

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/event"
	"gsprobackup/internal/wal"
)

// Plan is what a restore would do.
type Plan struct {
	Chain   []*catalog.Backup // FULL first, the backup to restore last
	Target  Target
	Command string // restore_command that would be set
	PGData  string

	// Mode is how what is in the directory would be used, Resumed that it is
	// what an interrupted restore left.
	Mode    Incremental
	Resumed bool
	Shift   wal.LSN // for IncrementalLSN
	// Emptied is the number of databases that would be left out.
	Emptied int

	Places  []Place
	Volumes []PlannedVolume
	// Removed are the files and directories that would be removed.
	Removed []string
}

// Place is a directory that would be written to.
type Place struct {
	Kind  PlaceKind
	From  string // where it was, as the backup tells; "" for the data directory
	To    string
	Files int   // regular files of the backup
	Bytes int64 // their length
	// Present of them are there, with PresentBytes.
	Present      int
	PresentBytes int64
}

// PlaceKind says what a place is.
type PlaceKind string

// The kinds of places.
const (
	PlaceData       PlaceKind = "data directory"
	PlaceTablespace PlaceKind = "tablespace"
	PlaceExternal   PlaceKind = "external directory"
)

// PlannedVolume is a file system that would be written to.
type PlannedVolume struct {
	Path string // the first place on it
	// Needed is about how much more it would hold, in bytes, holes counted.
	Needed, Avail int64
}

// MakePlan does what a restore does before it writes, but for validation, and
// finds out what it would write. It changes nothing, and locks nothing.
func MakePlan(ctx context.Context, deps Deps, opts Options) (p *Plan, err error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	r := &run{deps: deps, opts: opts, dry: true}
	if err := r.decideAll(ctx); err != nil {
		return nil, err
	}
	if opts.validates() {
		if err := r.reach(ctx); err != nil {
			return nil, err
		}
	}
	r.opts.NoValidate = true // the backup is not called valid then
	if err := r.decide(); err != nil {
		return nil, err
	}
	for _, b := range r.chain {
		if err := r.usable(b); err != nil {
			return nil, err
		}
	}
	w, err := r.newWriteOut()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return w.plan(ctx)
}

func (w *writeOut) plan(ctx context.Context) (*Plan, error) {
	p := &Plan{
		Chain: w.chain, Target: w.opts.Target, Command: w.command, PGData: w.opts.PGData,
		Mode: w.mode, Resumed: w.resumed != nil, Shift: w.shift, Emptied: len(w.excluded),
	}
	if w.compares() {
		s := w.newScan()
		if err := s.target(ctx); err != nil {
			return nil, err
		}
		p.Removed = s.redundant
	}
	p.Places = append(p.Places, Place{Kind: PlaceData, To: w.opts.PGData})
	for _, spc := range w.spaces {
		p.Places = append(p.Places, Place{Kind: PlaceTablespace, From: spc.from, To: spc.target})
	}
	if !w.opts.SkipExternal {
		for i, from := range w.dest.Externals() {
			p.Places = append(p.Places, Place{Kind: PlaceExternal, From: from, To: w.extDirs[i]})
		}
	}
	if err := w.count(p); err != nil {
		return nil, err
	}
	return p, w.volumes(ctx, p)
}

// count adds up the files of each place.
func (w *writeOut) count(p *Plan) error {
	entries := w.destMember().entries
	for i := range entries {
		e := &entries[i]
		if !e.IsRegular() || !w.restores(e) {
			continue
		}
		n, err := w.length(e)
		if err != nil {
			return err
		}
		place := &p.Places[w.placeOf(e)]
		place.Files++
		place.Bytes += n
		if here, ok := w.present[keyOf(e)]; ok {
			place.Present++
			place.PresentBytes += here.size
		}
	}
	return nil
}

// placeOf is the index of the place of an entry in Plan.Places.
func (w *writeOut) placeOf(e *contentlist.Entry) int {
	if e.ExternalDir > 0 {
		return len(w.spaces) + e.ExternalDir
	}
	if oid, _, ok := tablespaceVersion(e); ok {
		for i := range w.spaces {
			if w.spaces[i].oid == oid {
				return 1 + i
			}
		}
	}
	return 0
}

// length is how long a restored file will be; for a row-compressed one, how
// long it would be without compression.
func (w *writeOut) length(e *contentlist.Entry) (int64, error) {
	if w.empties(e) {
		return 0, nil
	}
	if e.IsDatafile && !e.IsCFS {
		return int64(e.NBlocks) * blockSize, nil
	}
	stored, err := w.storedEntry(e)
	if err != nil {
		return 0, err
	}
	return stored.Size, nil
}

// volumes finds the file systems of the places.
func (w *writeOut) volumes(ctx context.Context, p *Plan) error {
	at := map[uint64]int{}
	for _, place := range p.Places {
		v, err := w.deps.Host.Volume(ctx, place.To)
		if err != nil {
			return err
		}
		i, ok := at[v.ID]
		if !ok {
			i = len(p.Volumes)
			at[v.ID] = i
			p.Volumes = append(p.Volumes, PlannedVolume{Path: place.To, Avail: v.Avail})
		}
		p.Volumes[i].Needed += max(place.Bytes-place.PresentBytes, 0)
	}
	return nil
}

// RemovedIn is what would be removed below a place, relative to it.
func (p *Plan) RemovedIn(place Place) (names []string) {
	for _, name := range p.Removed {
		if rel, ok := strings.CutPrefix(name, path.Clean(place.To)+"/"); ok {
			names = append(names, rel)
		}
	}
	return names
}
