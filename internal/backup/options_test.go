package backup

import "testing"

// The control file has -E as it was given, as C's has.
func TestExternalText(t *testing.T) {
	for _, tt := range []struct {
		opts Options
		want string
	}{
		{Options{}, ""},
		{Options{ExternalDirs: []string{"/a", "/b"}}, "/a:/b"},
		{Options{ExternalDirs: []string{"/a", "/b"}, ExternalList: "/a/:/b"}, "/a/:/b"},
		{Options{ExternalList: ":"}, ""},
	} {
		if got := tt.opts.externalText(); got != tt.want {
			t.Errorf("%+v: %q", tt.opts, got)
		}
	}
}
