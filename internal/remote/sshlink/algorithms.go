package sshlink

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"gsprobackup/internal/remote/sshlink/sshconf"
)

// algorithmKind is a set of algorithms that a keyword of ssh_config chooses
// from.
type algorithmKind int

const (
	kindCipher algorithmKind = iota
	kindMAC
	kindKex
	kindHostKey
	kindUserKey
	kindCA
)

// usual are the algorithms used when nothing is configured, able all that the
// built-in client has.
func (k algorithmKind) lists() (usual, able []string) {
	safe, weak := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	switch k {
	case kindCipher:
		return safe.Ciphers, slices.Concat(safe.Ciphers, weak.Ciphers)
	case kindMAC:
		return safe.MACs, slices.Concat(safe.MACs, weak.MACs)
	case kindKex:
		return safe.KeyExchanges, slices.Concat(safe.KeyExchanges, weak.KeyExchanges)
	case kindUserKey:
		return safe.PublicKeyAuths, slices.Concat(safe.PublicKeyAuths, weak.PublicKeyAuths)
	default:
		return safe.HostKeys, slices.Concat(safe.HostKeys, weak.HostKeys)
	}
}

// algorithms sets a list of algorithms. Names that the built-in client lacks
// are left out: what remains is still what was asked for, and if the server
// accepts none of it, Open turns to the system's ssh.
func algorithms(field func(*target) *[]string, kind algorithmKind) treatment {
	return func(r *resolver, t *target, v sshconf.Value) string {
		usual, able := kind.lists()
		list := chooseAlgorithms(v.First(), usual, able)
		if len(list) == 0 {
			return named(r.keyword, v)
		}
		*field(t) = list
		return ""
	}
}

// chooseAlgorithms applies a list of ssh_config: names and patterns, comma
// separated; after "+" they are added to the usual ones, after "-" taken from
// them, after "^" put in front.
func chooseAlgorithms(spec string, usual, able []string) []string {
	mode := byte(0)
	if spec != "" && strings.IndexByte("+-^", spec[0]) >= 0 {
		mode, spec = spec[0], spec[1:]
	}
	patterns := strings.Split(spec, ",")
	var named []string
	for _, p := range patterns {
		for _, a := range able {
			if sshconf.Match(a, p) && !slices.Contains(named, a) {
				named = append(named, a)
			}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(usual), func(a string) bool { return slices.Contains(named, a) })
	switch mode {
	case '+':
		return append(slices.Clone(usual), slices.DeleteFunc(named, func(a string) bool { return slices.Contains(usual, a) })...)
	case '-':
		return rest
	case '^':
		return append(named, rest...)
	default:
		return named
	}
}
