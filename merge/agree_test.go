package merge_test

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/merge"
)

var agreeInput = merge.Input{Root: "/srv/.kargo", WorkspacePath: "/srv/workspace", UserID: 1000, GroupID: 1001}

// realBash reads an environment file with the real bash and returns the named
// variables. The environment is empty except for the base variables.
func realBash(t fataler, text string, names []string) kargo.Environment {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatalf("these tests compare with the real bash: %v", err)
	}
	script := text + "\n"
	for _, name := range names {
		script += fmt.Sprintf("printf '%%s\\0' \"${%s-(unset)}\"\n", name)
	}
	command := exec.Command(bash, "--norc", "--noprofile", "-s")
	command.Stdin = strings.NewReader(script)
	command.Dir = "/"
	command.Env = []string{
		"WORKSPACE=/srv/workspace", "KARGO_USER_ID=1000", "KARGO_GROUP_ID=1001",
		"KARGO_BUILD_PATH=/srv/.kargo", "KARGO_SCRIPTS_PATH=/srv/.kargo/scripts",
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("bash: %v: %s\n%s", err, stderr.String(), script)
	}
	values := strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")
	if len(values) != len(names) {
		t.Fatalf("bash answered %d values for %d names\n%s\n%s", len(values), len(names), script, stderr.String())
	}
	env := kargo.Environment{}
	for i, name := range names {
		if values[i] != "(unset)" {
			env[name] = values[i]
		}
	}
	return env
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// What the two readers may meet, in pieces that are likely to disagree.
var (
	pieces = []string{
		"a", "B", "0", "_", "-", ".", "/", ":", "=", "@", "%", "+", ",", "*", "?", "[", "]", "{", "}", "!", "^", "~", "#",
		" ", "\t", "\n", "'", `"`, `\`, "$", "`", "(", ")", "$A", "${A}", "${B}", "$B}", "$C", "${C:-x}", "$apr1$", "é", "\u00a0", "\r", "\\n", "\\$",
		"<", ">", "|", "&", ";", " # c", "#c", "$(", "export ", "$1", "$lower", "${lower}", "$WORKSPACE", "$KARGO_USER_ID",
	}
	names = []string{"A", "B", "C", "lower", "A_1"}
)

func anyValue(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "value"), "")
}

// plainText is an environment file of assignments that mostly are plain.
func plainText(t *rapid.T) string {
	var text strings.Builder
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		value := anyValue(t)
		switch rapid.IntRange(0, 3).Draw(t, "quotes") {
		case 0:
			value = "'" + strings.ReplaceAll(value, "'", "") + "'"
		case 1:
			value = `"` + strings.NewReplacer(`"`, "", `\`, "", "`", "", "$(", "", "$apr1$", "").Replace(value) + `"`
		}
		prefix := rapid.SampledFrom([]string{"", "", "  ", "export "}).Draw(t, "prefix")
		suffix := rapid.SampledFrom([]string{"", "", "  ", " # comment # more", "\t#"}).Draw(t, "suffix")
		fmt.Fprintf(&text, "%s%s=%s%s\n", prefix, rapid.SampledFrom(names).Draw(t, "name"), value, suffix)
	}
	return text.String()
}

// Whatever is taken for plain, both readers read alike, and as bash does.
func TestReadersAgree(t *testing.T) {
	plainTexts := 0
	rapid.Check(t, func(t *rapid.T) {
		text := plainText(t)
		dotenv, bash, plain, problems := merge.ReadBoth(agreeInput, text)
		if problems.Err() != nil || !plain {
			return
		}
		plainTexts++
		if !maps.Equal(dotenv, bash) {
			t.Fatalf("%q\ndotenv: %v\nbash:   %v", text, dotenv, bash)
		}
		if plainTexts%10 != 0 {
			return // a process is dear
		}
		want := realBash(t, strings.ReplaceAll(text, "\r\n", "\n"), names)
		for _, name := range names {
			if got, set := dotenv.Lookup(name); got != want[name] || set != mapHas(want, name) {
				t.Fatalf("%q\n%s is %q and for the real bash %q", text, name, got, want[name])
			}
		}
	})
	t.Logf("%d texts were plain", plainTexts)
	if plainTexts == 0 {
		t.Error("no text was plain: nothing was compared")
	}
}

func mapHas(env kargo.Environment, name string) bool {
	_, ok := env[name]
	return ok
}

// TestReadersLikeBash compares with the real bash what people write.
func TestReadersLikeBash(t *testing.T) {
	for _, text := range []string{
		"A=1\nB=$A$A\nC=${B}x",
		"A=http://h:80/?x=1#y\nB=a,b;C=c",
		`A="x y" B='$A' C="$B"`,
		`A='$apr1$abc$def'`,
		"A=$apr1$abc$def",
		`A="$2y$10$abc"`,
		`A=\$apr1\$abc`,
		`A="\$2y\$10"`,
		`A=a\ b\\c\"d`,
		`A="a\nb\"c\\d"`,
		`A=$'a\nb\x41'`,
		`A=pre"mid $B"'post'`,
		"A=${B:-d}\nB=${A:+x}\nC=${A-y}",
		": ${A:=x}\n: ${A:=y}",
		"A=abcdef\nB=${#A}${A:1:2}${A: -2}${A%f}${A#a}${A/c/X}${A//[a-c]/_}${A^^}${A,,}",
		"A=a.b.c\nB=${A%%.*}\nC=${A##*.}",
		"A=1\nA+=2\nB+=x",
		"A=$((1+2*3))\nB=$((A<<2))",
		"A=$(printf '%s-%s' a b)\nB=`echo x`\nC=$(echo 'a  b')",
		"A=\"one\ntwo\"\nB=\"$A\"",
		"A=one\\\ntwo",
		"export A=1 B=2\nexport C",
		"declare -x A=1\ntypeset B=2\nreadonly C=3",
		"A=1\nunset A\nB=$A",
		"if [ -n \"$A\" ]; then B=1; elif [ 1 -lt 2 ]; then B=2; else B=3; fi",
		"A=x\n[[ $A == x* ]] && B=1 || B=2\n[ \"$A\" = y ] && C=1",
		"A=prod\ncase \"$A\" in dev) B=1;; p*|q) B=2;; *) B=3;; esac",
		"! false && A=1\n{ B=2; }",
		"A=${DOCKER_HOST: -4}\nB=tcp://10.0.0.5:2375\nC=${B:6:$((`expr length $B`-11))}",
		"A=\nB= \nC='' # x",
		"A={a,b}\nB=*\nC=[a]",
		"A=a#b # c # d\nB=x#\nC=#x",
		"set -a\nA=1\nset +a\nB=2\ntrue\n:\nfalse\nC=3",
		"lower=1\nA=$lower\nA_1=$A",
		"A=x\nA+=\nB+=\nC=y C+=",
		`A="${B:-'x y'}" C="${B:-a'b'"c"}"`,
		`A="${B:-${C-'x'}}"; lower="${A+'y'}"`,
		`A=${B:-'x y'} C=${B:-"x 'y'"}`,
		"A=a\ncase \"${B:-'x'}\" in a|b) B=1;; \\'x\\') B=2;; esac",
		"A=a\\\\\\\nB=1",
	} {
		_, got, _, problems := merge.ReadBoth(agreeInput, text)
		if err := problems.Err(); err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		want := realBash(t, text, names)
		for _, name := range names {
			if value, set := got.Lookup(name); value != want[name] || set != mapHas(want, name) {
				t.Errorf("%s\n%s is %q (%t) and for the real bash %q (%t)", text, name, value, set, want[name], mapHas(want, name))
			}
		}
	}
}

// The last of several assignments counts, wherever they stand, and its line is
// the one that is answered.
func TestLastAssignmentCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := map[string]*strings.Builder{"defaults/.env.default": {}, "user/.env": {}}
		fmt.Fprintln(texts["user/.env"], "STACKS=a")
		want, lines := map[string]string{}, map[string]kargo.Place{}
		for _, file := range []string{"defaults/.env.default", "user/.env"} {
			for range rapid.IntRange(0, 6).Draw(t, file) {
				name, value := rapid.SampledFrom(names).Draw(t, "name"), rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "value")
				if rapid.Bool().Draw(t, "default value") {
					fmt.Fprintf(texts[file], "%s=${UNSET:-%s}\n", name, value)
				} else {
					fmt.Fprintf(texts[file], "%s=%s\n", name, value)
				}
				want[name] = value
				_, base, _ := strings.Cut(file, "/")
				lines[name] = kargo.Place{File: base, Line: strings.Count(texts[file].String(), "\n")}
			}
		}
		ws, problems, err := merge.Merge(t.Context(), input(archiveOf(texts)))
		if err != nil || problems.Err() != nil {
			t.Fatal(err, problems)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if ws.Env[name] != want[name] || ws.Lines[name] != lines[name] {
				t.Fatalf("%s is %q of %s and should be %q of %s", name, ws.Env[name], ws.Lines[name], want[name], lines[name])
			}
		}
	})
}
