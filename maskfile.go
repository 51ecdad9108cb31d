package kargo

import (
	"strings"

	"kargo/pattern"
)

// The content of a file can hold passwords that no variable has. They have names there,
// in the form of the file: "password = x", "password: x", {"password": "x"},
// <password>x</password>, <add key="password" value="x"/>.

var (
	// lineValue finds a value without quotes that is the rest of a line: of YAML, of
	// properties, of an environment file. What begins with one of the signs that it
	// leaves out is found by quotedValue, or is no text.
	lineValue = pattern.Lazy(`^(\s*(?:- +|export +|set +)?["']?)([A-Za-z_][\w.-]*)(["']?\s*(?:=>|:=|=|:)\s*)([^\s"'{\[|>&*!<,;].*)$`)
	// namedText finds a name and a text or word behind it, anywhere in a line.
	namedText = pattern.Lazy(`(["']?)([A-Za-z_][\w.-]*)(["']?\s*(?:=>|:=|=|:)\s*)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'&,;<>{}\[\]()|]+)`)
	// directive finds the value of those that have no sign between name and value: of
	// Redis, of netrc files, and of SQL.
	directive = pattern.Lazy(`(?i)((?:^|[\s;(])(?:[\w.]+[-_.])?(?:requirepass|masterauth|auth-pass\s+\S+|password|passwd|secret|token|api[-_]?key|psk|passphrase|identified\s+by)\s+)("[^"]*"|'[^']*'|[^\s"'=:;,()]+)`)
	// credential finds that of a header of HTTP, which a proxy adds.
	credential = pattern.Lazy(`(?i)(authorization["'\s:=,]+(?:basic|bearer|token|apikey)\s+)([^\s"']+)`)
	// element finds the text of an element of XML; its attributes may have the name.
	element = pattern.Lazy(`<([\w.:-]+)([^<>]*)>([^<>]+)</`)
	// attributeName finds the name that an attribute of XML gives.
	attributeName = pattern.Lazy(`(?i)\b(?:name|key|id)\s*=\s*["']([^"']+)["']`)
	// passwordHash finds the hash of a password, as crypt(3) writes it. It can be tried.
	passwordHash = pattern.Lazy(`(\$(?:apr1|1|2[abxy]?|5|6|7|y|argon2\w*|pbkdf2[\w-]*)\$|\{S?SHA\d*\})([^\s"',;]+)`)
	// blockName finds a name whose value is on the lines that follow.
	blockName = pattern.Lazy(`^(\s*(?:- +)?)["']?([A-Za-z_][\w.-]*)["']?\s*[:=]\s*([|>][\w+-]*|"""|''')?\s*$`)
	listItem  = pattern.Lazy(`^(\s*- +)(.+)$`)
)

// File returns the content of a file as it may be shown: a text in which, beside what
// [Mask.Text] hides, the values are hidden that have the name of a secret, private keys
// and hashes of passwords.
func (m Mask) File(content string) string {
	f := fileMask{Mask: m}
	lines := strings.SplitAfter(content, "\n")
	for i, line := range lines {
		text := strings.TrimRight(line, "\r\n")
		lines[i] = f.line(text) + line[len(text):]
	}
	return m.Text(strings.Join(lines, ""))
}

// fileMask hides the values of one file, line by line.
type fileMask struct {
	Mask
	// block hides whole lines until one for which it returns false; nil outside of one.
	block func(line string) bool
	// named is for how many lines a field "value" is the value of a secret: its name was
	// in a field "name" or "key" before it.
	named int
}

func (f *fileMask) line(text string) string {
	if f.block != nil {
		if f.block(text) {
			return f.whole(text)
		}
		f.block = nil
	}
	if strings.Contains(text, "-----BEGIN ") && strings.Contains(text, "PRIVATE KEY") && !strings.Contains(text, "-----END ") {
		f.block = func(line string) bool { return !strings.Contains(line, "-----END ") }
		return text
	}
	if parts := blockName().FindStringSubmatch(text); parts != nil && f.isSecret(parts[2]) {
		f.block = blockOf(len(parts[1]), parts[3])
		return text
	}
	f.named--
	if parts := lineValue().FindStringSubmatch(text); parts != nil && f.hidesValueOf(parts[2], parts[4]) {
		value := strings.TrimRight(parts[4], ",; \t")
		return parts[1] + parts[2] + parts[3] + f.once(value) + parts[4][len(value):]
	}
	if strings.Contains(text, "<") {
		text = element().ReplaceAllStringFunc(text, f.element)
	}
	if strings.ContainsAny(text, "=:") {
		text = namedText().ReplaceAllStringFunc(text, f.namedText)
	}
	text = f.second(passwordHash(), f.second(credential(), text, ""), "")
	return directive().ReplaceAllStringFunc(text, func(match string) string {
		parts := directive().FindStringSubmatch(match)
		return parts[1] + f.quoted(parts[2])
	})
}

// blockOf returns which lines belong to the value of a name that is so far from the
// left. marker says of which kind the value is; it is "" for what may be a list.
func blockOf(indent int, marker string) func(string) bool {
	switch marker {
	case `"""`, `'''`:
		return func(line string) bool { return !strings.Contains(line, marker) }
	case "":
		return func(line string) bool { return listItem().MatchString(line) && depth(line) >= indent }
	}
	return func(line string) bool { return strings.TrimSpace(line) == "" || depth(line) > indent }
}

// depth returns how far from the left a line begins.
func depth(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// whole hides all of a line but what stands at its left.
func (f *fileMask) whole(text string) string {
	trimmed := strings.TrimLeft(text, " \t")
	if parts := listItem().FindStringSubmatch(text); parts != nil {
		return parts[1] + f.once(parts[2])
	}
	return text[:len(text)-len(trimmed)] + f.once(trimmed)
}

// isSecret reports whether a name in a file is that of a secret.
func (f *fileMask) isSecret(name string) bool {
	name = EnvName(strings.TrimSpace(name))
	return f.secretName(name) || isSecretName(name)
}

// hidesValueOf reports whether the value of a name must be hidden. It notes the names
// that a field gives to the field "value" after it.
func (f *fileMask) hidesValueOf(name, value string) bool {
	switch strings.ToLower(name) {
	case "name", "key":
		if f.isSecret(strings.Trim(value, `"', `)) {
			f.named = 2 // this line and the next one
		}
	case "value", "val", "content", "default":
		return f.named > 0 || f.isSecret(name)
	}
	return f.isSecret(name)
}

func (f *fileMask) namedText(match string) string {
	parts := namedText().FindStringSubmatch(match)
	if !f.hidesValueOf(parts[2], parts[4]) {
		return match
	}
	return parts[1] + parts[2] + parts[3] + f.quoted(parts[4])
}

func (f *fileMask) element(match string) string {
	parts := element().FindStringSubmatch(match)
	secret := f.isSecret(parts[1])
	for _, name := range attributeName().FindAllStringSubmatch(parts[2], -1) {
		secret = secret || f.isSecret(name[1])
	}
	if !secret {
		return match
	}
	return "<" + parts[1] + parts[2] + ">" + f.once(parts[3]) + "</"
}

// quoted hides a text and keeps the quotes around it.
func (f *fileMask) quoted(text string) string {
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		return text[:1] + f.once(text[1:len(text)-1]) + text[:1]
	}
	return f.once(text)
}

// once hides a text that is not hidden yet, and is no word such as "true".
func (f *fileMask) once(text string) string {
	if strings.TrimSpace(text) == "" || strings.HasPrefix(text, hidden) || isPlainWord(text) {
		return text
	}
	return f.Digest(text)
}
