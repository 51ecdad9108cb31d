package compose

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/go-units"
	"gopkg.in/yaml.v3"

	"kargo/pattern"
	"kargo/spelling"
)

// keysAt returns the keys that compose files for Swarm have at a path; none
// where any key is possible.
func keysAt(path []string) []string {
	at := reflect.TypeFor[types.Config]()
	if len(path) > 0 && path[0] == "services" {
		if len(path) == 1 {
			return nil
		}
		at, path = reflect.TypeFor[types.ServiceConfig](), path[2:]
	}
	for _, key := range path {
		switch at = element(at); at.Kind() {
		case reflect.Map, reflect.Slice:
			at = at.Elem()
		case reflect.Struct:
			field, found := fieldOf(at, key)
			if !found {
				return nil
			}
			at = field.Type
		default:
			return nil
		}
	}
	if at = element(at); at.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for i := range at.NumField() {
		if key, skip := keyOf(at.Field(i)); !skip {
			keys = append(keys, key)
		}
	}
	return keys
}

// element returns what a pointer points to.
func element(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if name, skip := keyOf(t.Field(i)); !skip && name == key {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

const (
	notForSwarm  = "it is of the Compose Specification; docker stack deploy refuses it, too"
	fromFile     = "write the content to a file of the workspace and name it with file:"
	limitsStand  = "limits stand in deploy.resources"
	forOneHost   = "it is for docker compose on one machine: keep it in a file that Swarm does not get"
	likeReplicas = "write deploy.replicas"
	atDeployment = "Swarm asks the registry at each deployment"
	forGPUs      = "Swarm reserves GPUs with deploy.resources.reservations.generic_resources"
)

// unknownKeys are properties that Docker does not know in a file for Swarm, with a hint.
// People know them from docker compose, or from other tools.
var unknownKeys = map[string]string{
	"profiles": notForSwarm, "extends": notForSwarm, "include": notForSwarm, "name": notForSwarm, "annotations": notForSwarm, "attach": notForSwarm,
	"blkio_config": notForSwarm, "device_cgroup_rules": notForSwarm, "label_file": notForSwarm, "models": notForSwarm, "oom_kill_disable": notForSwarm,
	"post_start": notForSwarm, "pre_stop": notForSwarm, "provider": notForSwarm, "storage_opt": notForSwarm, "use_api_socket": notForSwarm, "uts": notForSwarm,
	"app_protocol": notForSwarm, "aux_addresses": notForSwarm, "cgroup": notForSwarm, "dns_opt": notForSwarm, "enable_ipv4": notForSwarm,
	"enable_ipv6": notForSwarm, "gateway": notForSwarm, "gw_priority": notForSwarm, "interface_name": notForSwarm, "ip_range": notForSwarm,
	"link_local_ips": notForSwarm, "mac_address": notForSwarm, "pre_start": notForSwarm, "priority": notForSwarm, "umask": notForSwarm,
	"use_service_name_alias": notForSwarm,
	"cpus":                   limitsStand, "cpu_count": limitsStand, "cpu_percent": limitsStand, "cpu_period": limitsStand, "cpu_rt_period": limitsStand,
	"cpu_rt_runtime": limitsStand, "mem_reservation": limitsStand, "mem_swappiness": limitsStand, "pids_limit": limitsStand,
	"develop": forOneHost, "watch": forOneHost, "scale": likeReplicas, "instances": likeReplicas,
	"content": fromFile, "group_add": `give the group with user: "1000:44"`,
	"env": "did you mean environment?", "envs": "did you mean environment?", "vars": "did you mean environment?", "cmd": "did you mean command?",
	"platform": "Swarm takes the platform from the image; to choose nodes, write deploy.placement.constraints", "pull_policy": atDeployment, "pull_refresh_after": atDeployment,
	"jobs": "a job is a service with deploy.mode: replicated-job", "host_ip": "Swarm opens a port on every address of the node",
	"gpus": forGPUs, "devices": forGPUs, "runtime": "each node's engine has a default runtime, which Swarm uses",
}

// unknownHint helps with a property that Docker does not know.
func unknownHint(path []string) string {
	last := path[len(path)-1]
	if last == "environment" && (path[0] == "secrets" || path[0] == "configs") {
		return fromFile
	}
	if last == "options" && lastOf(path[:len(path)-1]) == "ipam" {
		return notForSwarm
	}
	if hint, known := unknownKeys[last]; known {
		return hint
	}
	if len(path) == 1 && isServiceKey(last) {
		return belowService(last)
	}
	return spelling.DidYouMean(last, keysAt(path[:len(path)-1]))
}

// isServiceKey reports whether a key is one of services.
func isServiceKey(key string) bool { return slices.Contains(keysAt([]string{"services", "x"}), key) }

func belowService(key string) string {
	return key + " belongs to a service: indent it below the name of the service"
}

// withUnits are keys whose values have a unit, with an example.
var withUnits = map[string]string{
	"interval": "30s", "timeout": "30s", "start_period": "30s", "start_interval": "30s", "stop_grace_period": "30s",
	"delay": "30s", "monitor": "30s", "window": "30s", "memory": "512M",
}

// A text that does not have the form which the schema wants.
const (
	noDuration = "Does not match format 'duration'"
	noPorts    = "Does not match format 'ports'"
)

// misformed explains a text that does not have the form that the schema wants.
func misformed(node *yaml.Node, reason string) (explained, hint string) {
	value := ""
	if node = resolve(node); node != nil {
		value = node.Value
	}
	switch {
	case reason == noDuration:
		return fmt.Sprintf("%q is not a duration", value), `write it as "90s", "5m" or "1h30m"`
	case reason != noPorts:
		return reason, ""
	}
	hint = `write it as "8080:80"`
	if strings.Contains(value, " - ") {
		hint = "begin the entries of the list in the same column"
	} else if strings.ContainsAny(value, " \t") {
		hint = "write it without blanks"
	} else if slices.ContainsFunc(digits().FindAllString(value, -1), func(number string) bool { port, err := strconv.Atoi(number); return err != nil || port > 65535 }) {
		hint = "the highest port is 65535"
	}
	return fmt.Sprintf("%q is not a port", value), hint
}

var digits = pattern.Lazy(`[0-9]+`)

// misfit explains a value that does not have the form that the schema wants. It
// returns the reason in full and a hint.
func misfit(path []string, node *yaml.Node, reason string) (explained, hint string) {
	explained = strings.ReplaceAll(reason, "a integer", "an integer")
	node = resolve(node)
	switch {
	case node == nil || !strings.HasPrefix(reason, "must be"):
		return misformed(node, explained)
	case strings.HasPrefix(reason, "must be a mapping") && isMisplaced(path, node):
		return explained, belowService(lastOf(path))
	}
	if example := withUnits[lastOf(path)]; example != "" && node.Kind == yaml.ScalarNode && numeral().MatchString(node.Value) {
		return fmt.Sprintf("%s, not %s", explained, node.Value), fmt.Sprintf("write it with its unit, as in %q", example)
	}
	switch {
	case node.Kind == yaml.SequenceNode && strings.HasSuffix(reason, "must be a mapping"):
		return explained + ", not a list", `remove the "- " in front of its entries`
	case node.Kind == yaml.MappingNode && reason == "must be a list":
		return explained + ", not a mapping", pairHint(node)
	case node.Kind == yaml.ScalarNode && reason == "must be a mapping" && node.ShortTag() != "!!null":
		return fmt.Sprintf("%s, not %s", explained, firstWord(node.Value)), "write each entry as NAME: value, with a blank behind the colon"
	case isPairInList(path, node):
		return explained + ", not a mapping", fmt.Sprintf("write it as %q", node.Content[0].Value+"="+resolve(node.Content[1]).Value)
	case node.Kind == yaml.MappingNode && strings.HasSuffix(reason, "must be a string"):
		return explained + ", not a mapping", "write the value alone, without the keys"
	}
	number := strings.Contains(reason, "integer") || strings.Contains(reason, "number")
	text := strings.Contains(reason, "string")
	switch tag := node.ShortTag(); {
	case tag == "!!null" && len(path) == 2 && path[0] == "services":
		return explained + ", and the key has no value", "indent the properties of the service below its name"
	case node.Kind == yaml.ScalarNode && tag == "!!null":
		return explained + ", and the key has no value", "remove the key, or give it a value: {} is an empty mapping, [] an empty list"
	case node.Kind == yaml.ScalarNode && tag == "!!bool" && text:
		return fmt.Sprintf("%s, not %s", explained, node.Value), fmt.Sprintf("put it in quotes: %q", node.Value)
	case node.Kind == yaml.ScalarNode && tag == "!!str" && number && numeral().MatchString(node.Value):
		return fmt.Sprintf("%s, not the text %q", explained, node.Value), "write " + node.Value + " without quotes"
	case node.Kind == yaml.ScalarNode && text && tag != "!!str":
		return fmt.Sprintf("%s, not %s", explained, node.Value), fmt.Sprintf("put it in quotes: %q", node.Value)
	case node.Kind == yaml.ScalarNode && strings.HasSuffix(reason, "must be a list") && strings.HasPrefix(node.Value, "-"):
		return fmt.Sprintf("%s, not %s", explained, firstWord(node.Value)), "write a blank behind the dash"
	case node.Kind == yaml.ScalarNode && strings.HasPrefix(reason, "must be a boolean"):
		return fmt.Sprintf("%s, not %s", explained, firstWord(node.Value)), "write true or false, without quotes"
	case node.Kind == yaml.ScalarNode && strings.HasSuffix(reason, "must be a list"):
		return fmt.Sprintf("%s, not %s", explained, firstWord(node.Value)), fmt.Sprintf("write it as a list: [%q]", firstWord(node.Value))
	case node.Kind == yaml.ScalarNode && number && bytesOf(node.Value) > 0 && tag != "!!float":
		return fmt.Sprintf("%s, not %s", explained, node.Value), fmt.Sprintf("write it in bytes: %d", bytesOf(node.Value))
	case node.Kind == yaml.ScalarNode && lastOf(path) == "published" && strings.Contains(node.Value, "-"):
		return fmt.Sprintf("%s, not the range %s", explained, node.Value), `write a range in the short form, as in "8080-8081:80"`
	case strings.Contains(reason, "must be one of"):
		return explained, spelling.DidYouMean(node.Value, wordsIn(reason))
	case node.Kind == yaml.ScalarNode && number:
		return fmt.Sprintf("%s, not %s", explained, firstWord(node.Value)), "write a whole number, such as 2"
	}
	return explained, ""
}

// wordsIn returns what stands in quotes in a message.
func wordsIn(message string) []string {
	var words []string
	for i, part := range strings.Split(message, `"`) {
		if i%2 == 1 {
			words = append(words, part)
		}
	}
	return words
}

// isMisplaced reports whether a value that must be a mapping is probably one that belongs
// to a service: it is not indented far enough.
func isMisplaced(path []string, node *yaml.Node) bool {
	switch len(path) {
	case 1:
		return node.Kind == yaml.SequenceNode && isServiceKey(path[0])
	case 2:
		return path[0] == "services" && node.Kind != yaml.MappingNode && isServiceKey(path[1])
	}
	return false
}

// pairHint shows how the first entry of a mapping is written in a list.
func pairHint(node *yaml.Node) string {
	if len(node.Content) == 0 || resolve(node.Content[1]).Kind != yaml.ScalarNode {
		return `write "- " in front of each entry`
	}
	return fmt.Sprintf("write each entry as %q", "- "+node.Content[0].Value+":"+resolve(node.Content[1]).Value)
}

// bytesOf returns what a size with its unit is in bytes, 0 where a text is none.
func bytesOf(text string) int64 {
	size, err := units.RAMInBytes(text)
	if err != nil {
		return 0
	}
	return size
}

// lastOf returns the last key of a path, "" for the whole file.
func lastOf(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}

// isPairInList reports whether a value is "KEY: value" in a list of "KEY=value".
func isPairInList(path []string, node *yaml.Node) bool {
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 || resolve(node.Content[1]).Kind != yaml.ScalarNode || len(path) < 2 {
		return false
	}
	switch path[len(path)-2] {
	case "labels", "environment", "sysctls":
		return true
	}
	return false
}

var numeral = pattern.Lazy(`^[0-9]+(?:\.[0-9]+)?$`)

// syntaxHints are hints by a part of the messages of the YAML library.
var syntaxHints = map[string]string{
	"did not find expected key":                   "begin the keys of one mapping in the same column",
	"did not find expected '-' indicator":         "begin the entries of one list in the same column",
	"mapping values are not allowed":              `put a value with ": " in quotes, or correct the indentation`,
	"found character that cannot start any token": "put the value in quotes",
	"found unexpected end of stream":              "a quote is not closed",
	"did not find expected ',' or ']'":            "close the list with ]",
	"did not find expected ',' or '}'":            "close the mapping with }",
	"could not find expected ':'":                 "write KEY: value",
	"already defined at line":                     "remove one of the two",
}

// syntaxHint helps with an error of the YAML library.
func syntaxHint(message, line string) string {
	switch {
	case strings.Contains(message, `mapping key "<<" already defined`):
		return "one key takes a list: <<: [*one, *other]"
	case strings.Contains(message, "unknown anchor"):
		return "an anchor is known in its own file only, below the line that defines it"
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return "indent with blanks, not with tabs"
	}
	for part, hint := range syntaxHints {
		if strings.Contains(message, part) {
			return hint
		}
	}
	return ""
}

// slipLine finds the line at which a YAML text stops being one. The library
// names the line where the enclosing block begins, which may be far above. The
// lines before the slip are a YAML text of their own.
func slipLine(data []byte) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines)*len(data) > maxSlipWork {
		return 0
	}
	var node yaml.Node
	for n := len(lines) - 1; n > 0; n-- {
		if yaml.Unmarshal(bytes.Join(lines[:n], nil), &node) != nil {
			continue
		}
		for n < len(lines) && isBlank(lines[n]) {
			n++
		}
		return n + 1
	}
	return 1
}

// maxSlipWork bounds, in bytes that are parsed, how long a slip is looked for.
const maxSlipWork = 32 << 20

func isBlank(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#'
}

// lineText returns one line of a text, counted from 1.
func lineText(data []byte, line int) string {
	lines := bytes.Split(data, []byte("\n"))
	if line < 1 || line > len(lines) {
		return ""
	}
	return string(lines[line-1])
}
