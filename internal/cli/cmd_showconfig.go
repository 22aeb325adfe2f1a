package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
)

func showConfigCommand(s *session) *cobra.Command {
	rules := commandRules{name: "show-config", shows: true}
	return newCommand("show-config", "show the settings of an instance", s.command(rules, func(_ context.Context, r *request) error {
		settings := shownSettings(r.Config, s.profile)
		if r.JSON {
			var o jsonObject
			for _, set := range settings {
				o.text(set.Key, set.Value)
			}
			return writeJSON(s.streams.Out, o)
		}
		return writeSettings(s.streams.Out, settings)
	}))
}

// writeSettings prints "# Group" and "key = value" lines, without quotes
// (spec/cli.md §8.5).
func writeSettings(w io.Writer, settings []catalog.Setting) error {
	var b strings.Builder
	group := ""
	for _, set := range settings {
		if set.Group != group {
			group = set.Group
			b.WriteString("# " + group + "\n")
		}
		b.WriteString(set.Key + " = " + set.Value + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shownSettings leaves out what a release does not know and hides the secret
// key of the object storage, which the C tool prints in clear text.
func shownSettings(cfg *catalog.Config, p compat.Profile) []catalog.Setting {
	var out []catalog.Setting
	for _, set := range cfg.Settings() {
		switch {
		case !p.DSS && set.Group == catalog.GroupDSS, !p.S3 && set.Group == catalog.GroupS3:
			continue
		case set.Key == "access-key":
			set.Value = "*"
		}
		out = append(out, set)
	}
	return out
}
