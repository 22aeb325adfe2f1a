// Package compat says what each openGauss release prints.
//
// It owns the profiles: plain data about columns, frames, message forms and
// option pages, selected with --compat or GS_PROBACKUP_COMPAT. It leaves the
// printing to internal/cli; nothing else in the program asks for a release.
//
// Facts: spec/cli.md §7, §8 and the version table of §12. The catalog format
// does not depend on the profile, with the two exceptions the older tools
// warn about (StorageType, S3Status), which catalog writers are told.
package compat

import (
	"fmt"
	"slices"
	"strings"
)

// Default is the profile used when none is chosen.
const Default = "6.0"

// Profile is the behaviour of one family of releases. The zero value is not
// usable; take one from Lookup.
type Profile struct {
	// Name is the value of --compat.
	Name string
	// Release is the version shown by --version.
	Release string

	// TypeColumn and S3StatusColumn are the columns Type (5.0.0) and
	// S3 Status (6.0.0) of "show".
	TypeColumn     bool
	S3StatusColumn bool
	// JSONFrame wraps JSON lists into {"backup_info": …} (6.0.0).
	JSONFrame bool
	// DSSDataBytes adds the key dssdata-bytes to JSON (6.0.0-RC1).
	DSSDataBytes bool

	// DSS and S3 tell whether the option groups exist in help pages and
	// in show-config.
	DSS bool
	S3  bool
	// InstanceIDHelp lists --instance-id in the DSS lines of help pages
	// (5.0.0 to 6.0.1).
	InstanceIDHelp bool
	// ExtraAlgorithms lists lz4 and zstd in help pages (3.0.3).
	ExtraAlgorithms bool
	// Replslot lists --backup-pg-replslot in help pages (3.0.3).
	Replslot bool
	// RWTimeout lists --rw-timeout in help pages (2.0.0).
	RWTimeout bool
	// RemoteLibpath lists --remote-libpath in help pages (3.0.0).
	RemoteLibpath bool
	// CrookedHelp is the layout of help pages around --remote-libpath and
	// --backup-pg-replslot before 6.0: empty and doubled lines.
	CrookedHelp bool

	// StorageSection and S3Section are the last two groups of a control
	// file as "show -i" prints it (5.0.0, 6.0.0).
	StorageSection bool
	S3Section      bool

	// ThreadLimit rejects -j above ten times the number of CPUs (6.0.0).
	ThreadLimit bool
	// Bars draws progress bars on stdout, and sends the per-file lines of
	// backup, restore and validate to the log file only (6.0.0-RC1).
	Bars bool
	// PhaseLines prints the Begin/Finish lines around file phases, in the
	// words of 6.0 (6.0.0-RC1).
	PhaseLines bool
	// DiskSpaceLines prints the free-space lines before the copy (6.0.2).
	DiskSpaceLines bool

	// ReceiverTime stamps the receiver's lines (2.0.0); ReceiverFullPath
	// prints "not renaming" with the whole path (3.0.0).
	ReceiverTime     bool
	ReceiverFullPath bool

	// ChecksumsKnown says the tool takes it that pages always carry
	// checksums; before (1.1.0) it warned they do not, without looking.
	ChecksumsKnown bool
	// BitmapLines prints the change-bitmap locations (2.0.3, 3.0.0).
	BitmapLines bool
	// ElapsedWindow counts the retention window in spans of 24 hours before
	// now; later releases count days of the calendar (2.0.0).
	ElapsedWindow bool
	// BaseLine prints that the path "base" cannot be parsed, in every local
	// backup (up to 3.1.0).
	BaseLine bool
	// ThreadLines names the workers of a restore (up to 5.1.0).
	ThreadLines bool
	// AuditLog writes $GAUSSLOG/bin/gs_probackup (6.0.0).
	AuditLog bool
}

// profiles is ordered from old to new.
var profiles = []Profile{
	{
		Name: "1.1", Release: "1.1.0",
		ElapsedWindow: true, BaseLine: true, ThreadLines: true,
	},
	{
		Name: "3.0", Release: "3.0.0",
		BaseLine: true, ThreadLines: true,
		RWTimeout: true, RemoteLibpath: true, CrookedHelp: true,
		ReceiverTime: true, ReceiverFullPath: true,
		ChecksumsKnown: true, BitmapLines: true,
	},
	{
		Name: "5.0", Release: "5.0.5",
		ThreadLines: true,
		TypeColumn:  true, DSS: true, InstanceIDHelp: true, StorageSection: true,
		ExtraAlgorithms: true, Replslot: true,
		RWTimeout: true, RemoteLibpath: true, CrookedHelp: true,
		ReceiverTime: true, ReceiverFullPath: true,
		ChecksumsKnown: true, BitmapLines: true,
	},
	{
		Name: "6.0", Release: "6.0.2",
		TypeColumn: true, DSS: true, StorageSection: true,
		S3StatusColumn: true, S3: true, S3Section: true,
		JSONFrame: true, DSSDataBytes: true,
		ExtraAlgorithms: true, Replslot: true,
		RWTimeout: true, RemoteLibpath: true,
		ReceiverTime: true, ReceiverFullPath: true,
		ThreadLimit: true, Bars: true, PhaseLines: true, DiskSpaceLines: true,
		ChecksumsKnown: true, BitmapLines: true, AuditLog: true,
	},
}

// Lookup returns the profile of that name. The empty name is the default.
func Lookup(name string) (Profile, error) {
	if name == "" {
		name = Default
	}
	for _, p := range profiles {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("unknown compatibility profile %q, expected one of %s", name, strings.Join(Names(), ", "))
}

// Names lists the profiles from old to new.
func Names() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return names
}

// Since tells whether the release is that of the named profile or a later one.
// The empty name is the first release.
func (p Profile) Since(name string) bool {
	return name == "" || slices.Index(Names(), p.Name) >= slices.Index(Names(), name)
}
