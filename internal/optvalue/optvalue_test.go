package optvalue

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIntegers(t *testing.T) {
	u32 := func(s string, u Unit) (any, error) { v, err := ParseUint32(s, u); return v, err }
	i32 := func(s string, u Unit) (any, error) { v, err := ParseInt32(s, u); return v, err }
	u64 := func(s string, u Unit) (any, error) { v, err := ParseUint64(s, u); return v, err }
	i64 := func(s string, u Unit) (any, error) { v, err := ParseInt64(s, u); return v, err }
	for _, c := range []struct {
		f    func(string, Unit) (any, error)
		s    string
		u    Unit
		want any // nil = error
	}{
		{u32, "10", NoUnit, uint32(10)},
		{u32, " 010", NoUnit, uint32(8)},
		{u32, "0x10", NoUnit, uint32(16)},
		{u32, "0", NoUnit, uint32(0)},
		{u32, "10 ", NoUnit, nil},
		{u32, "10s", NoUnit, nil},
		{u32, "", NoUnit, nil},
		{u32, "0x", NoUnit, nil},
		{u32, "0b1", NoUnit, nil},
		{u32, "1_0", NoUnit, nil},
		{u32, "08", NoUnit, nil},
		{u32, "-1", NoUnit, nil},
		{u32, "-5", Second, nil},
		{u32, "4294967295", NoUnit, uint32(math.MaxUint32)},
		{u32, "4294967296", NoUnit, nil},
		{u32, "INFINITE", Second, uint32(math.MaxUint32)},
		{u32, "infinite", Second, nil},
		{u32, "5min", Second, uint32(300)},
		{u32, " 5 min ", Second, uint32(300)},
		{u32, "500ms", Second, uint32(0)},
		{u32, "1500ms", Second, uint32(1)},
		{u32, "5 ", Second, uint32(5)},
		{u32, "10x", Second, nil},
		{u32, "5 m in", Second, nil},
		{u32, "5MIN", Second, nil},
		{u32, "4294967295min", Second, nil},
		{u64, "1MB", KB, uint64(1024)},
		{u64, "1kB", KB, uint64(1)},
		{u64, "1KB", KB, uint64(1)},
		{u64, "1kb", KB, nil},
		{u64, "1B", KB, nil},
		{u64, "1PB", KB, nil},
		{u64, "-1", KB, uint64(math.MaxUint64)},
		{u64, "18446744073709551615", NoUnit, uint64(math.MaxUint64)},
		{u64, "18446744073709551616", NoUnit, nil},
		{u64, "18446744073709551615TB", KB, nil},
		{u64, "90", Millisecond, uint64(90)},
		{u64, "1d", Millisecond, uint64(86400000)},
		{i32, "-1", NoUnit, int32(-1)},
		{i32, "-2147483648", NoUnit, int32(math.MinInt32)},
		{i32, "-2147483649", NoUnit, nil},
		{i32, "2147483648", NoUnit, nil},
		{i64, "-5", Second, int64(-5)},
		{i64, "5x", Second, nil},
		{i64, "-9223372036854775808", NoUnit, int64(math.MinInt64)},
		{i64, "9223372036854775807d", Second, nil},
		{i64, "INFINITE", Second, int64(math.MaxInt64)},
	} {
		got, err := c.f(c.s, c.u)
		if c.want == nil {
			var bad *BadValue
			if !errors.As(err, &bad) || bad.Value != c.s {
				t.Errorf("%q unit %d: got %v, %v; want an error", c.s, c.u, got, err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%q unit %d: got %v, %v; want %v", c.s, c.u, got, err, c.want)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	_, err := ParseUint32("abc", NoUnit)
	var bad *BadValue
	errors.As(err, &bad)
	if got, want := (&OptionError{Short: 'j', Long: "threads", Bad: bad}).Error(),
		"Option -j, --threads should be a 32bit unsigned integer: 'abc'"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := (&OptionError{Long: "wal-depth", Bad: bad}).Error(),
		"Option --wal-depth should be a 32bit unsigned integer: 'abc'"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		u    Unit
		want string
	}{
		{300, Second, "5min"}, {1048576, KB, "1GB"}, {1536, KB, "1536KB"}, {0, KB, "0TB"},
		{0, Second, "0d"}, {0, Millisecond, "0d"}, {3600, Second, "1h"}, {5400000, Millisecond, "90min"},
		{18000, Second, "5h"}, {1024, KB, "1MB"}, {90, Millisecond, "90ms"}, {7, NoUnit, "7"},
	} {
		if got := Format(c.n, c.u); got != c.want {
			t.Errorf("Format(%d, %d) = %q, want %q", c.n, c.u, got, c.want)
		}
	}
}

func TestFormatParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n")
		u := rapid.SampledFrom([]Unit{NoUnit, KB, Second, Millisecond}).Draw(t, "unit")
		if got, err := ParseUint64(Format(n, u), u); err != nil || got != n {
			t.Fatalf("%d came back as %d, %v", n, got, err)
		}
	})
}

func TestBool(t *testing.T) {
	for s, want := range map[string]string{
		"true": "t", "T": "t", "y": "t", "yES": "t", "on": "t", "1": "t",
		"f": "f", "no": "f", "n": "f", "of": "f", "off": "f", "0": "f",
		"o": "", "": "", "maybe": "", "truee": "", " t": "", "10": "",
	} {
		v, err := ParseBool(s)
		got := map[bool]string{true: "t", false: "f"}[v]
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	algs := []string{"zlib", "lz4", "zstd", "pglz", "none"}
	for s, want := range map[string]int{"z": 0, "ZS": 2, " p": 3, "none": 4, "none ": -1, "": -1, " ": -1, "zlibx": -1} {
		if got := MatchPrefix(s, algs...); got != want {
			t.Errorf("MatchPrefix(%q) = %d, want %d", s, got, want)
		}
	}
	for s, want := range map[string]int{"ZLIB": 0, "zli": -1, " zlib": -1, "": -1} {
		if got := MatchWord(s, algs...); got != want {
			t.Errorf("MatchWord(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	local := time.FixedZone("", 3*3600)
	for s, want := range map[string]string{ // "" = error; else UTC
		"2021-01-11 10:45:17+08":    "2021-01-11 02:45:17",
		"2021-01-11 10:45:17 +08":   "2021-01-11 02:45:17",
		"2021-01-11 10:45:17+8":     "2021-01-11 02:45:17",
		"2021-01-11 10:45:17+0830":  "2021-01-11 02:15:17",
		"2021-01-11 10:45:17+08:30": "2021-01-11 02:15:17",
		"2021-01-11 10:45:17-03:30": "2021-01-11 14:15:17",
		"2021-01-11 10:45:17+15":    "2021-01-10 19:45:17",
		"2021-01-11 10:45:17":       "2021-01-11 07:45:17",
		"2021-01-11 10:45:17 ":      "2021-01-11 07:45:17",
		" 2021-01-11 10:45":         "2021-01-11 07:45:00",
		"2021-01-11  10:45":         "2021-01-11 07:45:00",
		"2021-01-11  10:45 ":        "2021-01-11 07:45:00",
		"2021-01-11 10:45:17  +08":  "2021-01-11 02:45:17",
		"2021-01-11 10:45:17+08  ":  "2021-01-11 02:45:17",
		"2021-01-11 10:45:17   ":    "2021-01-11 07:45:17",
		"2021-0111 10:45:17 +08":    "2021-01-11 02:45:17",
		"2021--01--11":              "2021-01-10 21:00:00",
		"2021-01-11 10:45":          "2021-01-11 07:45:00",
		"2021-01-11":                "2021-01-10 21:00:00",
		"2021.01/11_10":             "2021-01-11 07:00:00",
		"21-1-11":                   "2021-01-10 21:00:00",
		"99999-01-01":               "9999-08-31 22:00:00",
		"2021-14-40":                "2022-03-11 21:00:00",
		"2021-01-11 10:45+08":       "2021-01-11 07:45:08",
		"2021-01-11T10:45:17":       "2021-01-10 21:00:00",
		"2021-01-11  10:45:17":      "",
		" 2021-01-11 10:45:17":      "",
		"2021-01-11 10:45:1 7":      "",
		"2021-01-11 10:45:17+08 1":  "",
		"2021-01-11 10:45:17.5":     "",
		"2021-01-11 10:45:17Z":      "",
		"2021-01-11 10:45:17 UTC":   "",
		"2021-01-11 10:45:177":      "",
		"2021-01-11 10:45:17+16":    "",
		"2021-01-11 10:45:17+":      "",
		"2021-01":                   "",
		"garbage":                   "",
		"":                          "",
		"2739931-06-26 08:21:00+00": "", // C wrote such pins (cli.md §13 row 2)
	} {
		got, err := ParseTime(s, local)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: got %v, want an error", s, got)
		case want != "" && (err != nil || got.UTC().Format(time.DateTime) != want):
			t.Errorf("%q: got %v, %v; want %s", s, got.UTC(), err, want)
		}
	}
}

func TestTimeRoundTrip(t *testing.T) {
	zones := []*time.Location{time.UTC}
	for _, off := range []int{8 * 3600, -12600, -1800, 20700, 4*3600 + 13} {
		zones = append(zones, time.FixedZone("", off))
	}
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe"} {
		if loc, err := time.LoadLocation(name); err == nil { // needs no zone data to pass
			zones = append(zones, loc)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		sec := rapid.Int64Range(0, 253402200000).Draw(t, "sec") // to the end of year 9999
		loc := rapid.SampledFrom(zones).Draw(t, "zone")
		s := FormatTime(time.Unix(sec, 0), loc)
		got, err := ParseTime(s, time.FixedZone("", 1))
		if err != nil || got.Unix() != sec {
			t.Fatalf("%d printed as %q, read as %v, %v", sec, s, got, err)
		}
	})
	if got := FormatTime(time.Unix(1610361930, 0), time.FixedZone("", 8*3600)); got != "2021-01-11 18:45:30+08" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2021-01-11 10:45:17+08:30", "0x1F MB", "-1", "off", "INFINITE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseTime(s, time.UTC); err == nil && v.Year() >= 0 && v.Year() <= 9999 {
			if back, err := ParseTime(FormatTime(v, time.UTC), time.UTC); err != nil || (v.Year() >= 100 && !back.Equal(v)) {
				t.Fatalf("%q read as %v, came back as %v, %v", s, v, back, err)
			}
		}
		for _, u := range []Unit{NoUnit, KB, Second, Millisecond} {
			if v, err := ParseUint64(s, u); err == nil {
				if back, err := ParseUint64(Format(v, u), u); err != nil || back != v {
					t.Fatalf("%q read as %d, came back as %d, %v", s, v, back, err)
				}
			}
			_, _ = ParseInt64(s, u)
			_, _ = ParseInt32(s, u)
			_, _ = ParseUint32(s, u)
		}
		_, _ = ParseBool(s)
	})
}
