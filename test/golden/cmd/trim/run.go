package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"gsprobackup/test/golden"
)

// run unpacks what is kept and packs it again.
func (c *cut) run(src, dst string) (err error) {
	tmp, err := os.MkdirTemp("", "trim")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	packed, err := os.Open(filepath.Join(src, c.archive))
	if err != nil {
		return err
	}
	defer packed.Close()
	if err := golden.Unpack(tmp, packed, c.wanted); err != nil {
		return err
	}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(64<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	p := &packer{tar.NewWriter(z)}
	if err := c.pack(p, tmp); err != nil {
		return err
	}
	if err := errors.Join(p.w.Close(), z.Close()); err != nil {
		return err
	}
	return os.WriteFile(dst, out.Bytes(), 0o644)
}

// wanted tells whether a name of the archive is needed at all.
func (c *cut) wanted(name string) bool {
	rest, ok := strings.CutPrefix(name, c.from+"/")
	if !ok {
		return false
	}
	if rest == "pg_probackup.conf" {
		return true
	}
	id, rest, _ := strings.Cut(rest, "/")
	for _, b := range c.backups {
		if b != id {
			continue
		}
		if p, ok := strings.CutPrefix(rest, "database/"); ok {
			return c.keep.MatchString(p)
		}
		return strings.HasPrefix(rest, "external_directories/") || rest == "backup.control" || rest == "backup_content.control" || rest == "page_header_map"
	}
	return false
}

func (c *cut) pack(p *packer, tmp string) error {
	for _, dir := range []string{c.to, c.to + "/backups", c.to + "/backups/" + c.instance, c.to + "/wal", c.to + "/wal/" + c.instance} {
		if err := p.dir(dir); err != nil {
			return err
		}
	}
	conf, err := os.ReadFile(filepath.Join(tmp, c.from, "pg_probackup.conf"))
	if errors.Is(err, fs.ErrNotExist) { // the recording has only the backup
		conf = []byte("# Backup instance information\npgdata = /home/omm/data\nsystem-identifier = 215046882207064539\n")
	} else if err != nil {
		return err
	}
	if err := p.file(c.to+"/backups/"+c.instance+"/pg_probackup.conf", 0o644, conf); err != nil {
		return err
	}
	for _, id := range c.backups {
		b := backup{cut: c, src: filepath.Join(tmp, c.from, id), dst: path.Join(c.to, "backups", c.instance, id)}
		if err := b.pack(p); err != nil {
			return fmt.Errorf("backup %s: %w", id, err)
		}
	}
	return nil
}

// packer writes archive entries that do not depend on who runs it.
type packer struct{ w *tar.Writer }

var stamp = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func (p *packer) dir(name string) error {
	return p.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, ModTime: stamp})
}

func (p *packer) file(name string, mode int64, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: stamp}
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(p.w, bytes.NewReader(content))
	return err
}
