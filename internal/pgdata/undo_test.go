package pgdata

import "testing"

func TestUndoFirstBlock(t *testing.T) {
	tests := map[string]int64{
		"undo/permanent/00000.0000000": 0, "undo/permanent/0001A.000000B": 11 * 128, "undo/permanent/00000.meta.0000010": 16 * 4,
		"undo/unlogged/55555.0000001": 128, UndoMetaPath: -1, "undo/permanent/00000.meta": -1, "undo/permanent/0000G.0000001": -1,
		"base/1/16384.1": -1, "undo/permanent/x": -1, "undo/permanent/00000.meta.": -1,
	}
	for path, want := range tests {
		block, ok := UndoFirstBlock(path)
		if got := int64(block); ok && got != want || !ok && want >= 0 {
			t.Errorf("%s: %d, %v, want %d", path, block, ok, want)
		}
	}
}
