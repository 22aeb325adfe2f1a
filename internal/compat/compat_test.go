package compat

import (
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	for _, name := range append(Names(), "") {
		p, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "" {
			name = Default
		}
		if p.Name != name || !strings.HasPrefix(p.Release, name+".") {
			t.Errorf("Lookup(%q) = %s, release %s", name, p.Name, p.Release)
		}
	}
	if _, err := Lookup("6.0.2"); err == nil || !strings.Contains(err.Error(), "1.1, 3.0, 5.0, 6.0") {
		t.Errorf("got %v", err)
	}
}

// What a release has, later ones have too. Only --instance-id left the help
// pages again.
func TestProfilesGrow(t *testing.T) {
	abilities := func(p Profile) map[string]bool {
		return map[string]bool{
			"TypeColumn": p.TypeColumn, "S3StatusColumn": p.S3StatusColumn, "JSONFrame": p.JSONFrame,
			"DSSDataBytes": p.DSSDataBytes, "DSS": p.DSS, "S3": p.S3, "ExtraAlgorithms": p.ExtraAlgorithms,
			"Replslot": p.Replslot, "RWTimeout": p.RWTimeout, "RemoteLibpath": p.RemoteLibpath,
			"StorageSection": p.StorageSection, "S3Section": p.S3Section, "ThreadLimit": p.ThreadLimit,
			"Bars": p.Bars, "PhaseLines": p.PhaseLines, "DiskSpaceLines": p.DiskSpaceLines,
			"ReceiverTime": p.ReceiverTime, "ReceiverFullPath": p.ReceiverFullPath,
			"ChecksumsKnown": p.ChecksumsKnown, "BitmapLines": p.BitmapLines, "AuditLog": p.AuditLog,
		}
	}
	for i := 1; i < len(profiles); i++ {
		later := abilities(profiles[i])
		for name, had := range abilities(profiles[i-1]) {
			if had && !later[name] {
				t.Errorf("%s lost %s", profiles[i].Name, name)
			}
		}
	}
}
