package merge_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kargo/merge"
)

// Every file whose content can change what a layer merges to is named, and no
// other.
func TestReads(t *testing.T) {
	tree := func(env, more string) fstest.MapFS {
		files := fstest.MapFS{
			".env": {Data: []byte(env)}, "conf/more.env": {Data: []byte(more)}, "site.env": {Data: []byte("A=1")},
			"deploy/redis.yml": {}, "deploy/link.yml": {Mode: fs.ModeSymlink}, "configs/a/b.conf": {}, "kargo.yml": {}, "acme.json": {},
			"README.md": {}, "notes/deploy.txt": {}, "conf/last.env": {}, ".git/config": {}, ".kargo/.env": {}, ".kargo-state/history": {},
		}
		return files
	}
	const always = ".env acme.json configs/a/b.conf deploy/link.yml deploy/redis.yml kargo.yml site.env"
	const all = always + " README.md conf/last.env conf/more.env notes/deploy.txt"
	for _, test := range []struct{ env, more, want string }{
		{"STACKS=a", "", always},
		{"source conf/more.env", "A=2", always + " conf/more.env"},
		{". $WORKSPACE/conf/more.env", "source \"${WORKSPACE}/conf/last.env\"", always + " conf/last.env conf/more.env"},
		{"if [ -n \"$A\" ]; then source conf/more.env; fi", "source conf/more.env", always + " conf/more.env"},
		{"source conf/none.env; source ../outside.env", "", always},
		{"X=more\nsource conf/$X.env", "", all},
		{"source $X/conf/more.env", "", all},
		{"WORKSPACE=conf\nsource $WORKSPACE/more.env", "", all},
		{"A=$(cat README.md)", "", all},      // --allow-hooks lets it
		{"{\"data\": \"ENC[…]\", ", "", all}, // encrypted
	} {
		got, err := merge.Reads(tree(test.env, test.more))
		want := strings.Fields(test.want)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q reads\n%v, error %v\nwant\n%v", test.env, got, err, want)
		}
	}
}
