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
// <COMPOSE_SERVICE>_BINDS is keep.
func bindConfigs(s *rendering, service *types.ServiceConfig) boundObjects {
	if keepsBinds(s, service.Name) {
		return boundObjects{}
	}
	var bound []boundFile
	var kept []types.ServiceVolumeConfig
	for _, volume := range service.Volumes {
		files := filesOfBind(s, service, volume)
		if len(files) == 0 {
			kept = append(kept, volume)
		}
		bound = append(bound, files...)
	}
	if len(bound) > maxBoundFiles {
		s.report.Fail(s.files.VolumePlace(service.Name, bound[0].volume),
			"put them into an image or a volume; "+kargo.SuffixBinds.Of(service.Name)+"=keep keeps the binds, for a file system that all nodes share",
			"services.%s binds %d files of the merged configuration; at most %d can be Swarm configs", service.Name, len(bound), maxBoundFiles)
		return boundObjects{}
	}
	service.Volumes = kept
	return referencesTo(s, service.Name, bound)
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
		object, ok := s.objects.ofBoundFile(service, file)
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

// ofBoundFile makes the object of one file, or finds it made for another bind.
func (o *objects) ofBoundFile(service string, file boundFile) (kargo.Config, bool) {
	key := objectKey{key: "/" + file.name, secret: o.files.Tree.Get(file.name).Secret} // no declared key has a slash
	return o.once(key, func() (kargo.Config, bool) { return o.makeBound(service, file, key) })
}

// unfit are the characters that the name of a config cannot have.
var unfit = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

func (o *objects) makeBound(service string, file boundFile, key objectKey) (kargo.Config, bool) {
	at := o.files.VolumePlace(service, file.volume)
	declared := types.FileObjectConfig{
		Name: o.namespace + "_" + unfit.ReplaceAllString(strings.TrimPrefix(file.name, "configs/"), "-"),
	}
	data := o.files.Tree.Get(file.name).Data
	if len(data) == 0 {
		declared.TemplateDriver, data = emptyDriver, []byte(emptyContent)
	}
	if limit := key.maxSize(); len(data) > limit {
		o.report.Fail(at, "put it into an image or a volume; "+kargo.SuffixBinds.Of(service)+"=keep keeps the bind, for a file system that all nodes share",
			"services.%s binds %s, which has %d bytes; Swarm accepts %d", service, file.name, len(data), limit)
		return kargo.Config{}, false
	}
	name, err := o.nameOf(key, declared, data)
	if err != nil {
		o.report.Fail(at, "", "services.%s binds %s: %s", service, file.name, err)
		return kargo.Config{}, false
	}
	return kargo.Config{
		Name: name, Data: data, Secret: key.secret, Driver: declared.TemplateDriver,
		Labels: convert.AddStackLabel(convert.NewNamespace(o.namespace), nil),
	}, true
}
