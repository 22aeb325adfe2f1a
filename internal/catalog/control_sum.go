package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
)

// The format has no checksum over backup.control, so a flipped digit in it
// goes unnoticed. Where the file system keeps extended attributes, this
// program stores the CRC32C of the file's bytes beside them, with the time the
// file was modified:
//
//	<crc, 8 hex digits> <nanoseconds since 1970>
//
// The C tool replaces the file and so drops the attribute: then there is nothing
// to compare. Damage leaves the time as it was; who edits the file, to make a
// backup older or to change its status, does not. Of a file with another time
// only a single changed byte is taken for damage.
const controlSumAttr = "user.gs_probackup.crc32c"

// damagedSum is stored when a file that did not match is rewritten: a change
// of status must not turn its damage into something that looks good.
const damagedSum = "damaged"

// ErrControlSum is inside the error of CheckControlSum for a file that is not
// the one that was written.
var ErrControlSum = errors.New("checksum does not match")

// CheckControlSum compares b's control file with the checksum kept beside it.
// Without one, or when the file looks edited, it returns nil.
func CheckControlSum(fsys fsx.FS, b *Backup) error {
	f, err := fsys.Open(b.ControlPath())
	if err != nil {
		return fmt.Errorf("read control file: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	attr, err := fsx.GetXattr(f, controlSumAttr)
	if errors.Is(err, fsx.ErrNoXattr) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checksum of control file: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read control file: %w", err)
	}
	want, modified, _ := strings.Cut(string(attr), " ")
	// From the same file: set-backup may have put another one in its place.
	raw, err := fsx.ReadAll(f, maxKeyFile)
	if err != nil {
		return fmt.Errorf("read control file: %w", err)
	}
	if got := controlSum(raw); got != want && (modified == modTime(fi) || oneByteChanged(raw, want)) {
		return fmt.Errorf("%w: found %s, expected %s", ErrControlSum, got, want)
	}
	return nil
}

func controlSum(raw []byte) string { return fmt.Sprintf("%08x", crc32c.Sum(raw)) }

// oneByteChanged tells whether raw had the checksum sum before one of its bytes
// was changed.
func oneByteChanged(raw []byte, sum string) bool {
	was, err := strconv.ParseUint(sum, 16, 32)
	return err == nil && crc32c.OneByteApart(uint32(was), crc32c.Sum(raw), int64(len(raw)))
}

func modTime(fi fs.FileInfo) string { return strconv.FormatInt(fi.ModTime().UnixNano(), 10) }

// sealControl returns what stores a checksum with the file being written.
func sealControl(sum string) func(fsx.File) error {
	return func(f fsx.File) error {
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		err = fsx.SetXattr(f, controlSumAttr, []byte(sum+" "+modTime(fi)))
		if errors.Is(err, fsx.ErrNoXattr) {
			return nil
		}
		return err
	}
}
