package render

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
	"kargo/spelling"
)

// A bind of the merged configuration shows a folder of the controller's
// machine, so it works on one node, or needs a file system that all nodes share.
// Its files become Swarm configs instead, one by one: they reach every node, and
// new content rolls the service.

// maxBoundFiles of one service become configs. Each is an object of its own in
// Raft, and a mount of its own in the container.
const maxBoundFiles = 200

// What Swarm takes for a config has at least one byte. An empty file becomes a
// template that expands to nothing.
const (
	emptyDriver  = "golang"
	emptyContent = `{{""}}`
)

// boundObjects are the configs and secrets that replace a service's binds.
type boundObjects struct {
	configs []*swarm.ConfigReference
	secrets []*swarm.SecretReference
}

// boundFile is one file of a bind.
type boundFile struct {
	name   string // below the root
	target string // in the container
	volume string // the target of the bind
}

// bindConfigs removes the binds of the merged configuration from a service and
// returns the configs and secrets that replace them. A bind stays where the
// container writes: in the state folders, where the file says "rw", and where
// <COMPOSE_SERVICE>_BINDS is keep. It also stays, with a warning, where Swarm
// cannot hold its files.
func bindConfigs(s *rendering, service *types.ServiceConfig) boundObjects {
	if keepsBinds(s, service.Name) {
		return boundObjects{}
	}
	var binds []bind
	for _, volume := range service.Volumes {
		if files := filesOfBind(s, service, volume); len(files) > 0 {
			binds = append(binds, bind{volume, files})
		}
	}
	stays := map[string]bool{} // by target; what is not in it becomes configs
	for _, b := range binds {
		if file, ok := tooLarge(s, b); ok {
			size, limit := len(s.files.Tree.Get(file.name).Data), file.key(s).maxSize()
			stays[b.volume.Target] = mayStay(s, service.Name, b, fmt.Sprintf("%s has %d bytes, and Swarm accepts %d", file.name, size, limit))
		}
	}
	var bound []boundFile
	for _, b := range fewestFirst(binds) {
		if _, decided := stays[b.volume.Target]; decided {
			continue
		}
		if len(bound)+len(b.files) > maxBoundFiles {
			stays[b.volume.Target] = mayStay(s, service.Name, b, fmt.Sprintf("its %d files are too many: %d files of a service can be Swarm configs", len(b.files), maxBoundFiles))
			continue
		}
		bound = append(bound, b.files...)
	}
	service.Volumes = slices.DeleteFunc(slices.Clone(service.Volumes), func(volume types.ServiceVolumeConfig) bool {
		return !stays[volume.Target] && slices.ContainsFunc(binds, func(b bind) bool { return b.volume.Target == volume.Target })
	})
	return referencesTo(s, service.Name, bound)
}

// bind is a bind of the merged configuration whose files may become configs.
type bind struct {
	volume types.ServiceVolumeConfig
	files  []boundFile
}

// fewestFirst sorts binds by the number of their files, so that those that stay
// because there are too many are few and large.
func fewestFirst(binds []bind) []bind {
	return slices.SortedStableFunc(slices.Values(binds), func(a, b bind) int { return cmp.Compare(len(a.files), len(b.files)) })
}

// tooLarge returns the first file of a bind that Swarm does not accept.
func tooLarge(s *rendering, b bind) (boundFile, bool) {
	i := slices.IndexFunc(b.files, func(file boundFile) bool {
		return len(s.files.Tree.Get(file.name).Data) > file.key(s).maxSize()
	})
	if i < 0 {
		return boundFile{}, false
	}
	return b.files[i], true
}

// mayStay reports whether a bind that cannot become configs may stay one, and warns
// of what that asks of the nodes. It may not if one of its files was encrypted: then
// it is an error.
func mayStay(s *rendering, service string, b bind, why string) bool {
	source, _ := s.files.Tree.Inside(b.volume.Source)
	at := s.files.VolumePlace(service, b.volume.Target)
	for _, file := range b.files {
		if s.files.Tree.Get(file.name).Secret {
			s.report.Fail(at, "bind the encrypted files by themselves, and put the others into an image or a volume",
				"services.%s binds %s, which cannot become Swarm configs and secrets: %s. It cannot stay a bind either: the values of %s are encrypted in the repository and never written to a disk",
				service, source, why, file.name)
			return false
		}
	}
	s.report.Warn(at, "share this directory with the nodes, or put the files into an image or a volume; "+kargo.SuffixBinds.Of(service)+"=keep ends the warning",
		"services.%s binds %s, which stays a bind: %s. Every node that runs the service needs the files, at %s", service, source, why, b.volume.Source)
	return true
}

// keepsBinds reads <COMPOSE_SERVICE>_BINDS.
func keepsBinds(s *rendering, service string) bool {
	words := []string{"configs", "keep"}
	variable := kargo.SuffixBinds.Of(service)
	value := cmp.Or(s.ws.Value(variable), words[0])
	if !slices.Contains(words, value) {
		s.report.Fail(s.ws.PlaceOf(variable), spelling.DidYouMean(value, words), "%s is %q, not one of %s", variable, value, strings.Join(words, ", "))
	}
	return value == "keep"
}

// filesOfBind returns the files that a bind shows and no other mount of the
// service covers. There are none where the bind stays one.
func filesOfBind(s *rendering, service *types.ServiceConfig, volume types.ServiceVolumeConfig) []boundFile {
	source, inside := s.files.Tree.Inside(volume.Source)
	propagates := volume.Bind != nil && volume.Bind.Propagation != ""
	if volume.Type != string(mount.TypeBind) || !inside || source == "." || kargo.IsState(source) || propagates ||
		s.files.SaysWritable(service.Name, volume.Target) {
		return nil
	}
	var files []boundFile
	for _, name := range s.files.Tree.Under(source) {
		s.files.Tree.Use(name)
		target := path.Join(volume.Target, strings.TrimPrefix(name, source))
		if !isCovered(service, volume, target) {
			files = append(files, boundFile{name: name, target: target, volume: volume.Target})
		}
	}
	return files
}

// isCovered reports whether another mount of the service covers a file of a
// bind: a volume further down, or a config of the same target.
func isCovered(service *types.ServiceConfig, bind types.ServiceVolumeConfig, target string) bool {
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

// referencesTo makes the objects of files and refers to them, in order of the
// targets.
func referencesTo(s *rendering, service string, files []boundFile) boundObjects {
	slices.SortFunc(files, func(a, b boundFile) int { return cmp.Compare(a.target, b.target) })
	var bound boundObjects
	targets := map[string]bool{}
	for _, file := range files {
		s.objects.checkTarget(service, "volumes", file.volume, file.target, targets)
		object, ok := s.objects.ofBoundFile(service, file, file.key(s))
		if !ok {
			continue
		}
		target := swarm.ConfigReferenceFileTarget{Name: file.target, UID: "0", GID: "0", Mode: fileMode(s.files.Tree.Get(file.name))}
		if object.Secret {
			secret := swarm.SecretReferenceFileTarget(target)
			bound.secrets = append(bound.secrets, &swarm.SecretReference{File: &secret, SecretName: object.Name})
		} else {
			bound.configs = append(bound.configs, &swarm.ConfigReference{File: &target, ConfigName: object.Name})
		}
	}
	return bound
}

func fileMode(file kargo.File) fs.FileMode {
	if file.Executable {
		return 0o755
	}
	return 0o644
}

// key returns the key of the object of a file.
func (f boundFile) key(s *rendering) objectKey {
	return objectKey{key: "/" + f.name, secret: s.files.Tree.Get(f.name).Secret} // no declared key has a slash
}

// ofBoundFile makes the object of one file, or finds it made for another bind.
func (o *objects) ofBoundFile(service string, file boundFile, key objectKey) (kargo.Config, bool) {
	return o.once(key, func() (kargo.Config, bool) { return o.makeBound(service, file, key) })
}

// unfit are the characters that the name of a config cannot have.
var unfit = pattern.Lazy(`[^a-zA-Z0-9._-]+`)

func (o *objects) makeBound(service string, file boundFile, key objectKey) (kargo.Config, bool) {
	at := o.files.VolumePlace(service, file.volume)
	declared := types.FileObjectConfig{
		Name: o.namespace + "_" + unfit().ReplaceAllString(strings.TrimPrefix(file.name, "configs/"), "-"),
	}
	data := o.files.Tree.Get(file.name).Data
	if len(data) == 0 {
		declared.TemplateDriver, data = emptyDriver, []byte(emptyContent)
	}
	name, whole, err := o.nameOf(key, declared)
	if err != nil {
		o.report.Fail(at, "", "services.%s binds %s: %s", service, file.name, err)
		return kargo.Config{}, false
	}
	return kargo.Config{
		Name: name, Whole: whole, Data: data, Secret: key.secret, Driver: declared.TemplateDriver,
		Labels: convert.AddStackLabel(convert.NewNamespace(o.namespace), nil),
	}, true
}
