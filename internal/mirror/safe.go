package mirror

import (
	"path"
	"regexp"
	"strings"
)

// Safe is the text of a mirror, right or wrong, without what may be secret: who somebody is in a URL, and of a command
// all but the name of its program. So it is called where others look: in logs, metrics and pages.
func Safe(text string) string {
	head, rest, _ := strings.Cut(text, ":")
	if scheme, _, _ := strings.Cut(head, "?"); scheme == "exec" {
		return head + ":" + program(rest)
	}
	authority, is := strings.CutPrefix(rest, "//")
	if !is {
		return text
	}
	end := len(authority)
	if i := strings.IndexAny(authority, "/?#"); i >= 0 && !strings.Contains(authority[i:], "@") {
		end = i // else what ends it may be of a password that nobody has escaped
	}
	if i := strings.LastIndexByte(authority[:end], '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return head + "://" + authority
}

var (
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^'"\\$` + "`" + `]*$`)
	plainWord  = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)
)

// program is the name of what a shell would run first: its own, where that takes a shell to tell.
func program(command string) string {
	for _, word := range strings.Fields(command) {
		if assignment.MatchString(word) {
			continue
		}
		if plainWord.MatchString(word) {
			return path.Base(word)
		}
		break
	}
	return "sh"
}
