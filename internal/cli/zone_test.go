package cli

import (
	"testing"
	"time"
)

func TestRuleZone(t *testing.T) {
	winter, summer := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ rule, winter, summer string }{
		{"CST-8", "20:00 CST +0800", "20:00 CST +0800"},
		{"EST5", "07:00 EST -0500", "07:00 EST -0500"},
		{"<+0530>-5:30", "17:30 +0530 +0530", "17:30 +0530 +0530"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "13:00 CET +0100", "14:00 CEST +0200"},
		{"Foo/Bar", "", ""},
		{"CST", "", ""},
		{"\n", "", ""},
	} {
		loc, err := ruleZone(tt.rule)
		if err != nil {
			if tt.winter != "" {
				t.Errorf("%s: %v", tt.rule, err)
			}
			continue
		}
		const layout = "15:04 MST -0700"
		if w, s := winter.In(loc).Format(layout), summer.In(loc).Format(layout); w != tt.winter || s != tt.summer {
			t.Errorf("%s: %s and %s, want %s and %s", tt.rule, w, s, tt.winter, tt.summer)
		}
	}
}

func FuzzRuleZone(f *testing.F) {
	f.Add("CST-8")
	f.Add("CET-1CEST,M3.5.0,M10.5.0/3")
	f.Fuzz(func(t *testing.T, rule string) {
		if loc, err := ruleZone(rule); err == nil {
			_, _ = time.Unix(1795337569, 0).In(loc).Zone() // must not panic
		}
	})
}
