package backup

import "testing"

func TestMayCompressSegments(t *testing.T) {
	for version, want := range map[string]bool{
		"(openGauss 6.0.2 build 585be54d) compiled at 2026":      false,
		"(openGauss-lite 5.0.5 build 1) compiled":                false,
		"(openGauss 7.0.0-RC1 build 1) compiled":                 true,
		"PostgreSQL 9.2.4 (openGauss 1.1.0 build 392c0438) on x": false,
		"(openGauss 10.1.0 build 1)":                             true,
		"(GaussDB Kernel 505)":                                   true,
	} {
		if mayCompressSegments(version) != want {
			t.Errorf("%s: %t", version, !want)
		}
	}
}
