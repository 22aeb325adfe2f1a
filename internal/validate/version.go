package validate

import (
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
)

// CheckProgram refuses backups of programs newer than this one: their format
// may be another (spec/formats.md §12).
func CheckProgram(b *catalog.Backup) error {
	v, err := versionNumber(b.ProgramVersion)
	if err != nil {
		return err
	}
	if v > maxVersion {
		return usererr.New("gs_probackup binary version is %s, but backup %s version is %s. gs_probackup do not guarantee to be forward compatible. Please upgrade gs_probackup binary.",
			catalog.ProgramVersion, b.ID, b.ProgramVersion)
	}
	return nil
}
