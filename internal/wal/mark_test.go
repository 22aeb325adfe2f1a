package wal

import "testing"

func TestMark(t *testing.T) {
	for _, tt := range []struct {
		end     LSN
		segSize uint32
		want    string
	}{
		{0x4000268, 16 << 20, "000000010000000000000004.00000268"},
		{0x4000000, 16 << 20, "000000010000000000000003.01000000"},
		{0x1_00000001, 1 << 20, "000000010000000100000000.00000001"},
		{0x2_00000000, 1 << 30, "000000010000000100000003.40000000"},
	} {
		text := MarkOf(1, tt.end, tt.segSize)
		m, err := ParseMark(text)
		if text != tt.want || err != nil {
			t.Errorf("%s: %s, %v", tt.end, text, err)
		}
		own, next := text[:24], SegmentNameAt(1, tt.end-1+LSN(tt.segSize), tt.segSize)
		if m.Passed(own) || !m.Passed(next) || m.Within(own) == 0 || m.Within(next) != 0 {
			t.Errorf("%s: %+v", text, m)
		}
		if later := "00000002" + own[8:]; m.Within(later) != 0 || m.Passed("00000002"+next[8:]) {
			t.Errorf("%s: %+v on a later timeline", text, m)
		}
	}
	if (Mark{}).Passed("000000010000000000000004") || (Mark{}).Within("000000010000000000000004") != 0 {
		t.Error("no mark is somewhere")
	}
	for _, bad := range []string{"", "0/4000268", "000000010000000000000004", "000000010000000000000004.268", "000000010000000000000004.0000026x", "00000001000000000000000.00000268"} {
		if _, err := ParseMark(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
