package render

import (
	"cmp"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// A bind of the merged tree shows a folder of the controller's machine, so it
// works on one node, or needs a file system that all share. Its files are
// handed over as Swarm configs instead, one by one: they reach every node, and
// a new content rolls the service.

// maxFiles of the merged tree come to one service by its binds. Each is an
// object of its own in Raft, and a mount of its own in the container.
const maxFiles = 200

// What Swarm takes for a config has at least one byte. An empty file is
// written as a template that comes to nothing.
const (
	emptyDriver  = "golang"
	emptyContent = `{{""}}`
)

// broughtFiles are the files that a service's binds stand for.
type broughtFiles struct {
	configs []*swarm.ConfigReference
	secrets []*swarm.SecretReference
}

// broughtFile is one file and where the container has it.
type broughtFile struct {
	name, target string
	volume       string // the target of the bind
}

// bringFiles takes the binds of the merged tree off a service and answers the
// configs and secrets in the place of them. A bind stays where the container
// writes: in the state folders, where it says so with "rw", and where
// <COMPOSE_SERVICE>_BINDS is keep.
func (o *objects) bringFiles(service *types.ServiceConfig) broughtFiles {
	if o.keepsBinds(service.Name) {
		return broughtFiles{}
	}
	var brought []broughtFile
	var kept []types.ServiceVolumeConfig
	for _, volume := range service.Volumes {
		files := o.filesOfBind(service, volume)
		if len(files) == 0 {
			kept = append(kept, volume)
		}
		brought = append(brought, files...)
	}
	if len(brought) > maxFiles {
		o.fail(o.volumePlace(service.Name, []string{"services", service.Name, "volumes", brought[0].volume}),
			"put them into an image or a volume; "+bindsVariable(service.Name)+"=keep leaves the binds to a file system that all nodes share",
			"services.%s binds %d files of the merged configuration; at most %d can be Swarm configs", service.Name, len(brought), maxFiles)
		return broughtFiles{}
	}
	service.Volumes = kept
	return o.bring(service.Name, brought)
}

func bindsVariable(service string) string { return kargo.SuffixBinds.Of(service) }

// keepsBinds reads <COMPOSE_SERVICE>_BINDS.
func (w *work) keepsBinds(service string) bool {
	return w.oneOf(bindsVariable(service), "configs", "keep") == "keep"
}

// filesOfBind are the files that a bind shows and no other mount of the
// service hides; none where it is to stay a bind.
func (o *objects) filesOfBind(service *types.ServiceConfig, volume types.ServiceVolumeConfig) []broughtFile {
	source, inside := o.inTree(volume.Source)
	propagates := volume.Bind != nil && volume.Bind.Propagation != ""
	if volume.Type != string(mount.TypeBind) || !inside || source == "." || kargo.IsState(source) || propagates ||
		o.saysWritable(service.Name, volume.Target) {
		return nil
	}
	var files []broughtFile
	for _, name := range o.filesAt(source) {
		o.filesRead[name] = true
		target := path.Join(volume.Target, strings.TrimPrefix(name, source))
		if !hidden(service, volume, target) {
			files = append(files, broughtFile{name: name, target: target, volume: volume.Target})
		}
	}
	return files
}

// hidden tells whether another mount of the service lies over a file of a
// bind: a volume further down, or a config of the same target.
func hidden(service *types.ServiceConfig, bind types.ServiceVolumeConfig, target string) bool {
	covers := func(other string) bool {
		other = path.Clean(other)
		return len(other) > len(path.Clean(bind.Target)) && (target == other || strings.HasPrefix(target, other+"/"))
	}
	for _, volume := range service.Volumes {
		if covers(volume.Target) {
			return true
		}
	}
	for _, config := range service.Configs {
		if path.Join("/", cmp.Or(config.Target, config.Source)) == target {
			return true
		}
	}
	return slices.ContainsFunc(service.Secrets, func(secret types.ServiceSecretConfig) bool { return secret.Target == target })
}

// saysWritable tells whether the file that counts declares a volume writable
// in so many words. Saying nothing is no declaration: hardly anybody writes
// "ro" behind a configuration.
func (w *work) saysWritable(service, target string) bool {
	for _, l := range slices.Backward(w.layers) {
		volumes, _ := l.serviceDict(service)["volumes"].([]any)
		for _, volume := range volumes {
			if !w.mentions(volume, target) {
				continue
			}
			if long, ok := volume.(map[string]any); ok {
				readOnly, said := long["read_only"]
				return said && !w.truth(readOnly)
			}
			text, _ := volume.(string)
			parts := strings.Split(w.substituted(text), ":")
			return slices.Contains(strings.Split(parts[len(parts)-1], ","), "rw")
		}
	}
	return false
}

// bring makes the objects of files, in order of their targets.
func (o *objects) bring(service string, files []broughtFile) broughtFiles {
	slices.SortFunc(files, func(a, b broughtFile) int { return cmp.Compare(a.target, b.target) })
	var brought broughtFiles
	targets := map[string]bool{}
	for _, file := range files {
		o.checkTarget(service, "volumes", file.volume, file.target, targets)
		object, ok := o.bringFile(o.volumePlace(service, []string{"services", service, "volumes", file.volume}), service, file.name)
		if !ok {
			continue
		}
		target := swarm.ConfigReferenceFileTarget{Name: file.target, UID: "0", GID: "0", Mode: fileMode(o.ws.Files[file.name])}
		if object.Secret {
			secret := swarm.SecretReferenceFileTarget(target)
			brought.secrets = append(brought.secrets, &swarm.SecretReference{File: &secret, SecretName: object.Name})
		} else {
			brought.configs = append(brought.configs, &swarm.ConfigReference{File: &target, ConfigName: object.Name})
		}
	}
	return brought
}

func fileMode(file kargo.File) fs.FileMode {
	if file.Executable {
		return 0o755
	}
	return 0o644
}

// bringFile makes the object of one file, or finds it made for another bind.
func (o *objects) bringFile(at kargo.Place, service, name string) (kargo.Config, bool) {
	key := objectKey{key: "/" + name, secret: o.ws.Files[name].Secret} // no declared key has a slash
	if made, ok := o.made[key]; ok || o.broken[key] {
		return made, ok
	}
	object, ok := o.makeFile(at, service, name, key)
	if ok {
		o.made[key] = object
	} else {
		o.broken[key] = true
	}
	return object, ok
}

// unfit are the characters that the name of a config cannot have.
var unfit = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

func (o *objects) makeFile(at kargo.Place, service, name string, key objectKey) (kargo.Config, bool) {
	declared := types.FileObjectConfig{
		Name: o.namespace + "_" + unfit.ReplaceAllString(strings.TrimPrefix(name, "configs/"), "-"),
	}
	data := o.ws.Files[name].Data
	if len(data) == 0 {
		declared.TemplateDriver, data = emptyDriver, []byte(emptyContent)
	}
	limit := maxConfigSize
	if key.secret {
		limit = maxSecretSize
	}
	if len(data) > limit {
		o.fail(at, "put it into an image or a volume; "+bindsVariable(service)+"=keep leaves the bind to a file system that all nodes share",
			"services.%s binds %s, which has %d bytes; Swarm takes %d", service, name, len(data), limit)
		return kargo.Config{}, false
	}
	objectName, err := o.nameOf(key, declared, data)
	if err != nil {
		o.fail(at, "", "services.%s binds %s: %s", service, name, err)
		return kargo.Config{}, false
	}
	return kargo.Config{
		Name: objectName, Data: data, Secret: key.secret, Driver: declared.TemplateDriver,
		Labels: convert.AddStackLabel(convert.NewNamespace(o.namespace), nil),
	}, true
}
