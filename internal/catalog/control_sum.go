package catalog

import (
	"errors"
	"fmt"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
)

// The format has no checksum over backup.control, so a flipped digit in it
// goes unnoticed. Where the file system keeps extended attributes, this
// program stores the CRC32C of the file's bytes beside them. The C tool
// replaces the file and so drops the attribute: then there is nothing to
// compare, never a false alarm.
const controlSumAttr = "user.gs_probackup.crc32c"

// damagedSum is stored when a file that did not match is rewritten: a change
// of status must not turn its damage into something that looks good.
const damagedSum = "damaged"

// ErrControlSum is inside the error of CheckControlSum for a file that is not
// the one that was written.
var ErrControlSum = errors.New("checksum does not match")

// CheckControlSum compares b's control file with the checksum kept beside it.
// Without one it returns nil.
func CheckControlSum(fsys fsx.FS, b *Backup) error {
	f, err := fsys.Open(b.ControlPath())
	if err != nil {
		return fmt.Errorf("read control file: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	want, err := fsx.GetXattr(f, controlSumAttr)
	if errors.Is(err, fsx.ErrNoXattr) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checksum of control file: %w", err)
	}
	raw, err := fsx.ReadFile(fsys, b.ControlPath(), maxKeyFile)
	if err != nil {
		return fmt.Errorf("read control file: %w", err)
	}
	if got := controlSum(raw); got != string(want) {
		return fmt.Errorf("%w: found %s, expected %s", ErrControlSum, got, want)
	}
	return nil
}

func controlSum(raw []byte) string { return fmt.Sprintf("%08x", crc32c.Sum(raw)) }

// sealControl returns what stores a checksum with the file being written.
func sealControl(sum string) func(fsx.File) error {
	return func(f fsx.File) error {
		err := fsx.SetXattr(f, controlSumAttr, []byte(sum))
		if errors.Is(err, fsx.ErrNoXattr) {
			return nil
		}
		return err
	}
}
