package main

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

// scriptHosts are the other hosts that a script can start.
var scriptHosts = map[string]func(*testscript.TestScript, []string){
	// registry NAME TAG…: has one image with these tags. Its address is $REGISTRY.
	"registry": func(ts *testscript.TestScript, args []string) {
		path, tags := "/v2/"+args[0]+"/tags/list", strings.Join(args[1:], `","`)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				fmt.Fprintf(w, `{"name":%q,"tags":["%s"]}`, args[0], tags)
			}
		}))
		ts.Defer(server.Close)
		ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
	},
	// git: has the directories of the script that are repositories, and redirects from /old to
	// them. Its address is $GIT_HOST.
	"git": func(ts *testscript.TestScript, _ []string) {
		program, err := exec.LookPath("git")
		ts.Check(err)
		backend := &cgi.Handler{Path: program, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + ts.Getenv("WORK"), "GIT_HTTP_EXPORT_ALL=1"}}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if moved, isOld := strings.CutPrefix(r.URL.RequestURI(), "/old"); isOld {
				http.Redirect(w, r, moved, http.StatusMovedPermanently)
				return
			}
			backend.ServeHTTP(w, r)
		}))
		ts.Defer(server.Close)
		ts.Setenv("GIT_HOST", server.URL)
	},
	// ssh: shows the same key every time, and lets nobody in. Its address is $SSH_HOST.
	"ssh": func(ts *testscript.TestScript, _ []string) {
		signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
		ts.Check(err)
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return // the script has ended
				}
				_, _, _, _ = ssh.NewServerConn(conn, config) // the client wants the key only
				_ = conn.Close()
			}
		}()
		ts.Setenv("SSH_HOST", listener.Addr().String())
	},
}

func scriptHost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || scriptHosts[args[0]] == nil {
		ts.Fatalf("usage: host WORD…, see scriptHosts")
	}
	scriptHosts[args[0]](ts, args[1:])
}
