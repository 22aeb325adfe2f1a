package cli

import (
	"fmt"
	"io"
	"strconv"

	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
)

// maxRemovedShown is how many names of each place are listed.
const maxRemovedShown = 20

// writePlan prints what restore --dry-run found out.
func (s *session) writePlan(w io.Writer, p *restore.Plan) error {
	dest := p.Chain[len(p.Chain)-1]
	if _, err := fmt.Fprintf(w, "Restore of backup %s into \"%s\"%s\n%s\n", dest.ID, p.PGData, planMode(p), planTarget(p)); err != nil {
		return err
	}
	var chain [][]string
	for _, b := range p.Chain {
		chain = append(chain, []string{
			b.ID.String(), b.Mode.String(), b.Status.String(), optvalue.FormatTime(b.StartTime(), s.env.Location), b.StopLSN.String(),
		})
	}
	err := writeTable(w, []column{{header: "Backup"}, {header: "Mode"}, {header: "Status"}, {header: "Start Time"}, {header: "Stop LSN"}}, chain)
	if err != nil {
		return err
	}
	if err := writePlaces(w, p); err != nil {
		return err
	}
	if err := writeVolumes(w, p); err != nil {
		return err
	}
	for _, place := range p.Places {
		if err := writeRemoved(w, place, p.RemovedIn(place)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w, "Nothing has been written.")
	return err
}

func planMode(p *restore.Plan) string {
	text := ""
	switch p.Mode {
	case restore.IncrementalChecksum:
		text = ", incremental by checksum"
	case restore.IncrementalLSN:
		text = ", incremental by LSN, shift LSN " + p.Shift.String()
	}
	if p.Resumed {
		text += ", going on with an interrupted restore"
	}
	if p.Emptied > 0 {
		text += fmt.Sprintf(", without %d databases", p.Emptied)
	}
	return text
}

func planTarget(p *restore.Plan) string {
	t := p.Target
	text := "Recovery to the end of the backup"
	switch {
	case t.TimeText != "":
		text = "Recovery to time " + t.TimeText
	case t.XIDText != "":
		text = "Recovery to xid " + t.XIDText
	case t.LSNText != "":
		text = "Recovery to LSN " + t.LSNText
	case t.Name != "":
		text = "Recovery to restore point " + t.Name
	case t.Latest:
		text = "Recovery to the end of the archive"
	}
	if p.Command != "" {
		text += ", restore_command = '" + p.Command + "'"
	}
	return text
}

func writePlaces(w io.Writer, p *restore.Plan) error {
	columns := []column{
		{header: "Place"},
		{header: "From"},
		{header: "To"},
		{header: "Files", right: true},
		{header: "Size", right: true},
		{header: "There", right: true},
		{header: "There Size", right: true},
		{header: "To Remove", right: true},
	}
	var rows [][]string
	for _, place := range p.Places {
		rows = append(rows, []string{
			string(place.Kind), dashes(place.From), place.To, strconv.Itoa(place.Files), prettySize(place.Bytes),
			strconv.Itoa(place.Present), prettySize(place.PresentBytes), strconv.Itoa(len(p.RemovedIn(place))),
		})
	}
	return writeTable(w, columns, rows)
}

func dashes(s string) string {
	if s == "" {
		return "----"
	}
	return s
}

func writeVolumes(w io.Writer, p *restore.Plan) error {
	var rows [][]string
	for _, v := range p.Volumes {
		verdict := "enough"
		if v.Needed > v.Avail {
			verdict = "NOT ENOUGH"
		}
		rows = append(rows, []string{v.Path, prettySize(v.Needed), prettySize(v.Avail), verdict})
	}
	return writeTable(w, []column{{header: "File System Of"}, {header: "Needed", right: true}, {header: "Free", right: true}, {header: "Space"}}, rows)
}

func writeRemoved(w io.Writer, place restore.Place, names []string) error {
	for i, name := range names {
		if i == maxRemovedShown {
			_, err := fmt.Fprintf(w, "and %d more in \"%s\"\n", len(names)-i, place.To)
			return err
		}
		if _, err := fmt.Fprintf(w, "To remove: \"%s/%s\"\n", place.To, name); err != nil {
			return err
		}
	}
	return nil
}
