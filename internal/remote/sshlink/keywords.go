package sshlink

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/remote/sshlink/sshconf"
)

// treatment takes one keyword of ssh_config over into a target. Its reason
// says why only the system's ssh can honour the value, "" if there is none.
type treatment func(r *resolver, t *target, v sshconf.Value) (reason string)

// treatments are the keywords that the built-in client honours, or can leave
// aside without a difference for a command that has no terminal and forwards
// nothing. Everything else goes to the system's ssh.
func treatments() map[string]treatment {
	no, yes, none := only("no", "false"), only("yes", "true"), only("none")
	all := map[string]treatment{
		"addressfamily":         choice(func(t *target) *string { return &t.network }, map[string]string{"any": "tcp", "inet": "tcp4", "inet6": "tcp6"}),
		"stricthostkeychecking": choice(func(t *target) *string { return &t.strict }, strictness),
		"bindaddress":           text(func(t *target) *string { return &t.bindAddress }),
		"port":                  text(func(t *target) *string { return &t.port }),
		"user":                  text(func(t *target) *string { return &t.user }),
		"hashknownhosts":        flag(func(t *target) *bool { return &t.hashKnown }),
		"identitiesonly":        flag(func(t *target) *bool { return &t.identitiesOnly }),
		"tcpkeepalive":          flag(func(t *target) *bool { return &t.keepAlive }),
		"connectionattempts":    number(func(t *target) *int { return &t.attempts }, 1),
		"serveralivecountmax":   number(func(t *target) *int { return &t.aliveCount }, 1),
		"requiredrsasize":       number(func(t *target) *int { return &t.minRSA }, 0),
		"connecttimeout":        duration(func(t *target) *time.Duration { return &t.timeout }),
		"serveraliveinterval":   duration(func(t *target) *time.Duration { return &t.aliveEvery }),
		"ciphers":               algorithms(func(t *target) *[]string { return &t.ciphers }, kindCipher),
		"macs":                  algorithms(func(t *target) *[]string { return &t.macs }, kindMAC),
		"kexalgorithms":         algorithms(func(t *target) *[]string { return &t.kex }, kindKex),
		"hostkeyalgorithms":     algorithms(func(t *target) *[]string { return &t.hostKeys }, kindHostKey),
		"pubkeyacceptedalgorithms": algorithms(func(t *target) *[]string {
			return &t.userKeyAlgs
		}, kindUserKey),
		"casignaturealgorithms": algorithms(func(t *target) *[]string { return &t.caAlgs }, kindCA),

		// What can be left aside with one value only.
		"compression": no, "proxyusefdpass": no, "permitlocalcommand": no, "hostbasedauthentication": no, "tunnel": no,
		"verifyhostkeydns": no, "nohostauthenticationforlocalhost": no, "canonicalizehostname": no, "forkafterauthentication": no,
		"stdinnull": no, "gssapikeyexchange": no, "pubkeyauthentication": only("yes", "true", "unbound", "host-bound"),
		"proxycommand": none, "controlpath": none, "pkcs11provider": none, "remotecommand": none, "localcommand": none,
		"knownhostscommand": none, "revokedhostkeys": none, "bindinterface": none,
		"sessiontype": only("default"), "requesttty": only("no", "false", "auto"), "protocol": only("2"),
		"usekeychain": only("yes", "no"), "clearallforwardings": yes,

		"preferredauthentications": func(_ *resolver, _ *target, v sshconf.Value) string {
			if strings.Contains(","+v.First()+",", ",publickey,") {
				return ""
			}
			return named("PreferredAuthentications", v)
		},
		"gssapiauthentication": kerberos,
	}
	// Read by the resolver itself, or without any effect here.
	for _, name := range strings.Fields(`hostname hostkeyalias identityfile certificatefile identityagent proxyjump
		userknownhostsfile globalknownhostsfile ignoreunknown

		addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames
		checkhostip controlmaster controlpersist enableescapecommandline enablesshkeysign escapechar exitonforwardfailure
		fingerprinthash forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports
		gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns
		hostbasedacceptedalgorithms ipqos kbdinteractiveauthentication kbdinteractivedevices loglevel logverbose
		numberofpasswordprompts obscurekeystroketiming passwordauthentication permitremoteopen securitykeyprovider sendenv
		streamlocalbindmask streamlocalbindunlink syslogfacility tag tunneldevice updatehostkeys useprivilegedport versionaddendum
		visualhostkey warnweakcrypto xauthlocation`) {
		all[name] = func(*resolver, *target, sshconf.Value) string { return "" }
	}
	return all
}

// strictness are the values of StrictHostKeyChecking.
var strictness = map[string]string{
	"yes": "yes", "true": "yes", "no": "no", "false": "no", "off": "no", "ask": "ask", "accept-new": "accept-new",
}

// named tells a keyword with its value and place.
func named(keyword string, v sshconf.Value) string {
	return fmt.Sprintf("%s %s in %s", keyword, strings.Join(v.Args, " "), v.Where)
}

func only(values ...string) treatment {
	return func(r *resolver, _ *target, v sshconf.Value) string {
		for _, ok := range values {
			if strings.EqualFold(v.First(), ok) {
				return ""
			}
		}
		return named(r.keyword, v)
	}
}

func text(field func(*target) *string) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		if v.First() == "" {
			return named(r.keyword, v)
		}
		*field(t) = v.First()
		return ""
	}
}

func choice(field func(*target) *string, values map[string]string) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		value, ok := values[strings.ToLower(v.First())]
		if !ok {
			return named(r.keyword, v) // ssh will say what is wrong
		}
		*field(t) = value
		return ""
	}
}

func flag(field func(*target) *bool) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		switch strings.ToLower(v.First()) {
		case "yes", "true":
			*field(t) = true
		case "no", "false":
			*field(t) = false
		default:
			return named(r.keyword, v)
		}
		return ""
	}
}

func number(field func(*target) *int, least int) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		n, err := strconv.Atoi(v.First())
		if err != nil || n < least {
			return named(r.keyword, v)
		}
		*field(t) = n
		return ""
	}
}

// duration reads a time of ssh_config: seconds, or numbers with the units
// s m h d w; "none" leaves the default.
func duration(field func(*target) *time.Duration) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		if v.First() == "none" {
			return ""
		}
		d, ok := parseDuration(v.First())
		if !ok {
			return named(r.keyword, v)
		}
		*field(t) = d
		return ""
	}
}

func parseDuration(s string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	total := time.Duration(0)
	for s != "" {
		end := 0
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(s[:end])
		if err != nil || n > 1<<24 {
			return 0, false
		}
		unit := time.Second
		if end < len(s) {
			var ok bool
			if unit, ok = units[s[end]|0x20]; !ok {
				return 0, false
			}
			end++
		}
		total += time.Duration(n) * unit
		s = s[end:]
	}
	return total, total >= 0
}

// kerberos leaves GSSAPIAuthentication, which distributions switch on for
// everybody, to the system's ssh where this user has a Kerberos ticket.
func kerberos(r *resolver, _ *target, v sshconf.Value) string {
	if first := strings.ToLower(v.First()); first == "no" || first == "false" {
		return ""
	}
	_, err := r.opts.FS.Stat("/tmp/krb5cc_" + strconv.Itoa(r.opts.Local.UID))
	if err == nil || r.opts.Local.Getenv("KRB5CCNAME") != "" {
		return named("GSSAPIAuthentication", v) + ", with a Kerberos ticket at hand"
	}
	return ""
}
