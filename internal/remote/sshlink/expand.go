package sshlink

import (
	"path/filepath"
	"regexp"
	"strings"

	"gsprobackup/internal/remote/sshlink/sshconf"
)

// usualIdentities are the key files that are tried when none is configured.
var usualIdentities = []string{"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"}

// expand fills in what depends on other keywords: names and files, with the
// tokens of ssh_config(5). A token it does not know is a reason for the
// system's ssh.
func (r *resolver) expand(conf *sshconf.Config, t *target) string {
	t.hostName = t.host
	if v, ok := conf.Get("hostname"); ok {
		t.hostName = strings.NewReplacer("%%", "%", "%h", t.host).Replace(v.First())
	}
	x := expander{local: r.opts.Local, tokens: map[byte]string{
		'%': "%", 'd': r.opts.Local.Home, 'h': t.hostName, 'n': t.host, 'p': t.port, 'r': t.user, 'u': r.opts.Local.User,
		'l': r.opts.Local.HostName, 'i': uidText(r.opts.Local.UID), 'k': t.hostName,
	}}
	x.tokens['L'], _, _ = strings.Cut(r.opts.Local.HostName, ".")

	t.knownAs = joinKnown(strings.ToLower(t.hostName), t.port)
	if v, ok := conf.Get("hostkeyalias"); ok {
		alias := x.path(v.First())
		x.tokens['k'] = alias
		t.knownAs = joinKnown(strings.ToLower(alias), "22")
	}

	sshDir := filepath.Join(r.opts.Local.Home, ".ssh")
	t.userKnown = []string{filepath.Join(sshDir, "known_hosts"), filepath.Join(sshDir, "known_hosts2")}
	if v, ok := conf.Get("userknownhostsfile"); ok {
		t.userKnown = x.paths(v.Args)
	}
	systemDir := filepath.Dir(r.opts.Local.SystemConfig)
	t.globalKnown = []string{filepath.Join(systemDir, "ssh_known_hosts"), filepath.Join(systemDir, "ssh_known_hosts2")}
	if v, ok := conf.Get("globalknownhostsfile"); ok {
		t.globalKnown = x.paths(v.Args)
	}

	for _, v := range conf.All("identityfile") {
		t.explicit = true
		t.identities = append(t.identities, x.paths([]string{v.First()})...)
	}
	if !t.explicit {
		for _, name := range usualIdentities {
			t.identities = append(t.identities, filepath.Join(sshDir, name))
		}
	}
	for _, v := range conf.All("certificatefile") {
		t.certificates = append(t.certificates, x.paths([]string{v.First()})...)
	}

	t.agent = r.opts.Local.Getenv("SSH_AUTH_SOCK")
	if v, ok := conf.Get("identityagent"); ok {
		switch value := v.First(); {
		case value == "none":
			t.agent = ""
		case value == "SSH_AUTH_SOCK":
		case strings.HasPrefix(value, "$") && !strings.HasPrefix(value, "${"):
			t.agent = r.opts.Local.Getenv(value[1:])
		default:
			t.agent = x.path(value)
		}
	}
	if x.unknown != "" {
		return "the token " + x.unknown
	}
	return ""
}

// joinKnown is a host and port as known_hosts lists them.
func joinKnown(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

type expander struct {
	local   Local
	tokens  map[byte]string
	unknown string
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// paths expands file names; "none" names no file.
func (x *expander) paths(names []string) []string {
	var list []string
	for _, name := range names {
		if name != "" && !strings.EqualFold(name, "none") {
			list = append(list, x.path(name))
		}
	}
	return list
}

func (x *expander) path(s string) string {
	if s == "~" || strings.HasPrefix(s, "~/") {
		s = x.local.Home + s[1:]
	} else if strings.HasPrefix(s, "~") {
		x.unknown = s
	}
	s = variable.ReplaceAllStringFunc(s, func(ref string) string {
		value := x.local.Getenv(ref[2 : len(ref)-1])
		if value == "" {
			x.unknown = ref
		}
		return value
	})
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		value, ok := "", false
		if i < len(s) {
			value, ok = x.tokens[s[i]]
		}
		if !ok {
			x.unknown = s[i-1 : min(i+1, len(s))]
		}
		b.WriteString(value)
	}
	return b.String()
}
