package agent

import "testing"

func TestCommand(t *testing.T) {
	tests := []struct {
		c    Command
		want string
	}{
		{Command{Program: "gs_probackup"}, "gs_probackup agent"},
		{Command{Program: "/opt/bin/gs_probackup", LibPath: "/lib"}, "/opt/bin/gs_probackup agent"},
		{Command{Program: "/opt/bin/gs_probackup", Path: "/far/bin"}, " /far/bin/gs_probackup agent"},
		{Command{Program: "./gs_probackup", Path: "/far dir/bin"}, ` "/far dir/bin/gs_probackup" agent`},
		{Command{Program: "gs_probackup", Path: "/far", LibPath: "/far/lib"}, "export LD_LIBRARY_PATH=/far/lib && /far/gs_probackup agent"},
		{Command{Program: "gs_probackup", Path: "~omm/bin"}, " ~omm/bin/gs_probackup agent"},
		{Command{Program: "gs_probackup", Path: "/a;reboot"}, " '/a;reboot/gs_probackup' agent"},
		{Command{Program: "gs_probackup", Path: "/$(x) `y`"}, " '/$(x) `y`/gs_probackup' agent"},
		{Command{Program: "gs_probackup", Path: `/it's "here"`}, ` '/it'\''s "here"/gs_probackup' agent`},
		{Command{Program: "gs_probackup", Path: "/a", LibPath: "/lib && reboot"}, "export LD_LIBRARY_PATH='/lib && reboot' && /a/gs_probackup agent"},
	}
	for _, tt := range tests {
		if got := tt.c.String(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.c, got, tt.want)
		}
	}
}
