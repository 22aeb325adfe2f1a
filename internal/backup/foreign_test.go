package backup

import (
	"context"
	"slices"
	"testing"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
)

// namedServer is a server that knows its name only.
type namedServer struct {
	server.Flavor
	server.OpenGauss
	asked int
}

func (s *namedServer) NodeName(context.Context) (string, error) {
	s.asked++
	return "og1", nil
}

// Two nodes of one machine may keep their tablespaces in one place; a backup
// has those of its own.
func TestSharedTablespace(t *testing.T) {
	const own, other = "pg_tblspc/16385/PG_9.2_201611171_og1", "pg_tblspc/16385/PG_9.2_201611171_og2"
	tests := []struct {
		name  string
		paths []string
		want  []string
		asked int
	}{
		{"shared", []string{"pg_tblspc/16385", own, own + "/5", own + "/5/1", other, other + "/5/1"},
			[]string{"pg_tblspc/16385", own, own + "/5", own + "/5/1"}, 1},
		{"own", []string{"pg_tblspc", "pg_tblspc/16385", own, own + "/5/1", "base/1/1"},
			[]string{"pg_tblspc", "pg_tblspc/16385", own, own + "/5/1", "base/1/1"}, 0},
		{"two tablespaces", []string{own, "pg_tblspc/16386/PG_9.2_201611171_og1"},
			[]string{own, "pg_tblspc/16386/PG_9.2_201611171_og1"}, 0},
	}
	for _, tt := range tests {
		s := &namedServer{}
		r := &run{flavor: s, layout: pgdata.NewLayout(pgdata.OpenGauss, 9)}
		l := &listing{}
		for _, p := range tt.paths {
			l.add(listed{Entry: contentlist.Entry{Path: p}})
		}
		if err := r.dropForeign(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range l.items {
			got = append(got, it.Path)
		}
		if !slices.Equal(got, tt.want) || s.asked != tt.asked {
			t.Errorf("%s: %q, asked %d times", tt.name, got, s.asked)
		}
	}
}
