package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"regexp"
	"testing"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/test/golden"
)

// listAsOf3 makes a row-compressed relation of a golden backup one of openGauss
// 3.0: the same images, listed by the name of the main file.
func listAsOf3(t *testing.T, m golden.Machine, dir, rel string) {
	t.Helper()
	edit := func(name string, change func([]byte) []byte) {
		raw, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, change(raw), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var sum uint32
	edit(m.Path(dir+"/backup_content.control"), func(b []byte) []byte {
		b = bytes.Replace(b, []byte(rel+"_compress"), []byte(rel), 1)
		sum = crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return b
	})
	edit(m.Path(dir+"/backup.control"), func(b []byte) []byte {
		return regexp.MustCompile(`content-crc = \d+`).ReplaceAll(b, fmt.Appendf(nil, "content-crc = %d", sum))
	})
	if err := os.Rename(m.Path(dir+"/database/"+rel+"_compress"), m.Path(dir+"/database/"+rel)); err != nil {
		t.Fatal(err)
	}
}

// A row-compressed relation of openGauss 3.0 becomes what C 3.0 makes of it:
// one entry for its three files, with the images of its blocks.
func TestCompressedOf3(t *testing.T) {
	t.Parallel()
	const rel = "base/16384/16397"
	m, c := golden.Start(t, golden.Raw)
	listAsOf3(t, m, c.BackupDir("TOWDFI"), rel)
	a := newAgain(t, m, c, "TOWDFI")
	var ours []*contentlist.Entry
	for _, it := range a.listing.items {
		if bytes.HasPrefix([]byte(it.Path), []byte(rel)) {
			ours = append(ours, &it.Entry)
		}
	}
	theirs := a.entries(t)[fileKey{0, rel}]
	if len(ours) != 1 || theirs == nil {
		t.Fatalf("%d entries, C has %v", len(ours), theirs)
	}
	e := ours[0]
	if e.Path != rel || !e.IsDatafile || e.NBlocks != theirs.NBlocks || *e.Compressed != *theirs.Compressed || e.CompressAlg != compress.PGLZ {
		t.Errorf("list has %+v, C %+v", e, theirs)
	}
	want, got := a.blocks(t, a.theirs, theirs), a.blocks(t, a.ours.backup, e)
	if len(got.numbers) != len(want.numbers) || len(got.numbers) < 50 {
		t.Fatalf("%d blocks, C has %d", len(got.numbers), len(want.numbers))
	}
	for n, page := range want.pages {
		b := []byte(page)
		b[13] &= 0x7F // the mark of newer releases
		if string(b) != got.pages[n] {
			t.Errorf("block %d differs", n)
		}
	}

	// What may be wrong with the files.
	reader, err := remote.Local(m.FS()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close() // read only
	read := func(from, to uint32) (run remote.Run, err error) {
		err = reader.ReadRun(context.Background(), &remote.RunRequest{
			Path: againData + "/" + rel, From: from, To: to, Alg: compress.PGLZ, Compressed: &remote.CompressedFile{Layout: pgdata.PairOf3},
		}, &run)
		return run, err
	}
	last := uint32(theirs.NBlocks)
	if run, err := read(last-5, last+5); err != nil || !run.EOF || run.End != last || run.Pages != 5 {
		t.Errorf("%d pages, end %d, %v", run.Pages, run.End, err)
	}
	pca := m.Path(againData + "/" + rel + "_pca")
	raw, err := os.ReadFile(pca)
	if err != nil {
		t.Fatal(err)
	}
	raw[512] ^= 1 // the checksum of the first address
	if err := os.WriteFile(pca, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var ce *pgdata.CorruptionError
	if _, err := read(0, 2); !errors.As(err, &ce) || ce.Block != 0 {
		t.Errorf("a damaged address gave %v", err)
	}
	if err := os.Truncate(pca, 0); err != nil {
		t.Fatal(err)
	}
	if info, err := remote.Local(m.FS()).CompressedInfo(context.Background(), againData+"/"+rel+"_pca"); err != nil || info.ChunkSize != 0 {
		t.Errorf("a relation being made: %+v, %v", info, err)
	}
	if err := os.Remove(pca); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Local(m.FS()).CompressedInfo(context.Background(), againData+"/"+rel+"_pca"); !errors.Is(err, remote.ErrVanished) {
		t.Errorf("a dropped relation: %v", err)
	}
}
