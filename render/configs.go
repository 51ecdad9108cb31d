package render

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kargo/render/compose"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// What Swarm accepts as a config or secret.
const (
	maxConfigName = 64
	maxConfigSize = 1_023_999 // bytes
	maxSecretSize = 511_999   // bytes
	digestLength  = 12        // hex digits of the content's digest in a name
	// noDigest stands in the place of a digest until there is a key; see WithKey.
	noDigest = "000000000000"
)

var configName = pattern.Lazy(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$`)

// objects are the configs and secrets of one stack. Each is made when a service
// first names it: what no service names is not created.
type objects struct {
	report    *compose.Report
	files     *compose.Configuration
	stack     string
	namespace string
	made      map[objectKey]kargo.Config
	templates map[objectKey]kargo.Config // of made, those that Swarm expands for each task
	names     map[kargo.ObjectKey]bool   // of what was made
	broken    map[objectKey]bool         // could not be made, which was reported
}

func newObjects(s *rendering) *objects {
	return &objects{
		report: s.report, files: s.files, stack: s.name, namespace: s.namespace,
		made: map[objectKey]kargo.Config{}, templates: map[objectKey]kargo.Config{}, names: map[kargo.ObjectKey]bool{}, broken: map[objectKey]bool{},
	}
}

// objectKey names an object as compose files do.
type objectKey struct {
	secret bool
	key    string
}

// section returns the section of compose files that declares the object.
func (k objectKey) section() string {
	if k.secret {
		return "secrets"
	}
	return "configs"
}

// maxSize returns the size in bytes of the largest such object that Swarm
// accepts.
func (k objectKey) maxSize() int {
	if k.secret {
		return maxSecretSize
	}
	return maxConfigSize
}

// once returns the object of a key, and makes it where that was not tried yet.
func (o *objects) once(key objectKey, create func() (kargo.Config, bool)) (kargo.Config, bool) {
	if made, ok := o.made[key]; ok || o.broken[key] {
		return made, ok
	}
	object, ok := create()
	if !ok {
		o.broken[key] = true
		return object, false
	}
	o.made[key] = object
	if object.Driver != "" && !object.External {
		o.templates[key] = object
	}
	return object, true
}

// used returns the objects that services named, in order of name.
func (o *objects) used() []kargo.Config {
	list := slices.Collect(maps.Values(o.made))
	slices.SortFunc(list, func(a, b kargo.Config) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)))
	})
	// Two keys may stand for one external object.
	return slices.CompactFunc(list, func(a, b kargo.Config) bool {
		return a.Name == b.Name && a.Secret == b.Secret
	})
}

func sortConfigs(list []kargo.Config) {
	slices.SortFunc(list, func(a, b kargo.Config) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind(), b.Kind()))
	})
}

// get makes an object that a service names, or finds it made.
func (o *objects) get(service string, key objectKey) (kargo.Config, bool) {
	return o.once(key, func() (kargo.Config, bool) { return o.make(service, key) })
}

func (o *objects) make(service string, key objectKey) (kargo.Config, bool) {
	var declared types.FileObjectConfig
	var exists bool
	names := maps.Keys(o.files.Config.Configs)
	if key.secret {
		names = maps.Keys(o.files.Config.Secrets)
		var secret types.SecretConfig
		secret, exists = o.files.Config.Secrets[key.key]
		declared = types.FileObjectConfig(secret)
	} else {
		var config types.ConfigObjConfig
		config, exists = o.files.Config.Configs[key.key]
		declared = types.FileObjectConfig(config)
	}
	at := o.files.Place(key.section(), key.key)
	switch {
	case !exists:
		o.report.Fail(o.files.Place("services", service, key.section(), key.key), declareIt(key.key, slices.Sorted(names)),
			"services.%s.%s: no file of stack %q declares %q", service, key.section(), o.stack, key.key)
		return kargo.Config{}, false
	case declared.External.External:
		return kargo.Config{Name: declared.Name, Secret: key.secret, External: true}, true
	case declared.Driver != "":
		o.report.Fail(o.files.Place(key.section(), key.key, "driver"), "use file: or external:",
			"%s.%s: drivers are not supported", key.section(), key.key)
		return kargo.Config{}, false
	}
	return o.fromFile(at, key, declared)
}

// fromFile makes an object of a file of the merged configuration.
func (o *objects) fromFile(at kargo.Place, key objectKey, declared types.FileObjectConfig) (kargo.Config, bool) {
	if declared.File == o.files.Tree.Directory() {
		o.report.Fail(at, "name one with file:", "%s.%s has no file", key.section(), key.key)
		return kargo.Config{}, false
	}
	at = o.files.Place(key.section(), key.key, "file")
	name, file, ok := o.files.Tree.File(at, declared.File)
	if !ok {
		return kargo.Config{}, false
	}
	if file.Secret && !key.secret {
		o.report.Warn(at, "use secrets:, which only the containers can read",
			"%s.%s: %s has values that are encrypted in the repository, and everybody with access to Docker can read a config", key.section(), key.key, name)
	}
	data := file.Data
	if limit := key.maxSize(); len(data) == 0 || len(data) > limit {
		o.report.Fail(at, "", "%s.%s: %s has %d bytes; Swarm accepts 1 to %d", key.section(), key.key, name, len(data), limit)
		return kargo.Config{}, false
	}
	objectName, whole, err := o.nameOf(key, declared)
	if err != nil {
		o.report.Fail(at, "", "%s.%s: %s", key.section(), key.key, err)
		return kargo.Config{}, false
	}
	return kargo.Config{
		Name:   objectName,
		Whole:  whole,
		Data:   data,
		Secret: key.secret,
		Labels: convert.AddStackLabel(convert.NewNamespace(o.namespace), declared.Labels),
		Driver: declared.TemplateDriver,
	}, true
}

// nameOf returns the object's name in Swarm, with noDigest at its end or, if several
// objects are named alike, with a number. WithKey replaces that by a digest of what
// Swarm cannot change in place. A name that is too long is cut; then whole is all of it.
func (o *objects) nameOf(key objectKey, declared types.FileObjectConfig) (name, whole string, err error) {
	base := cmp.Or(declared.Name, o.namespace+"_"+key.key)
	if room := maxConfigName - digestLength - 1; len(base) > room {
		if declared.Name == "" && len(o.namespace)+2 > room {
			return "", "", fmt.Errorf("stack %q has too long a name for a config", o.stack)
		}
		base, whole = strings.TrimRight(base[:room], "-_."), base
	}
	object := kargo.Config{Name: base + "-" + noDigest, Secret: key.secret}
	for n := 1; o.names[object.Key()]; n++ {
		object.Name = fmt.Sprintf("%s-%0*x", base, digestLength, n)
	}
	if !configName().MatchString(object.Name) {
		return "", "", fmt.Errorf("%q cannot be its name in Swarm: letters, digits, dots, - and _ only", base)
	}
	o.names[object.Key()] = true
	return object.Name, whole, nil
}

// configReferences returns the configs that a service names, and the config of
// its credential spec.
func (o *objects) configReferences(service *types.ServiceConfig) []*swarm.ConfigReference {
	references := []*swarm.ConfigReference{}
	targets := map[string]bool{}
	for _, use := range service.Configs {
		config, ok := o.get(service.Name, objectKey{key: use.Source})
		if !ok {
			continue
		}
		file := target(types.FileReferenceConfig(use))
		o.checkTarget(service.Name, "configs", use.Source, file.Name, targets)
		o.checkOwner(service.Name, "configs", use.Source, file)
		references = append(references, &swarm.ConfigReference{
			File:       (*swarm.ConfigReferenceFileTarget)(&file),
			ConfigName: config.Name,
		})
	}
	if key := service.CredentialSpec.Config; key != "" {
		config, ok := o.get(service.Name, objectKey{key: key})
		// The converter looks for this name and replaces it by the id; here the
		// name is both.
		service.CredentialSpec.Config = config.Name
		if ok {
			references = append(references, &swarm.ConfigReference{
				Runtime:    &swarm.ConfigReferenceRuntimeTarget{},
				ConfigName: config.Name,
				ConfigID:   config.Name,
			})
		}
	}
	slices.SortStableFunc(references, func(a, b *swarm.ConfigReference) int {
		return cmp.Compare(a.ConfigName, b.ConfigName)
	})
	return references
}

// secretReferences returns the secrets that a service names.
func (o *objects) secretReferences(service types.ServiceConfig) []*swarm.SecretReference {
	references := []*swarm.SecretReference{}
	targets := map[string]bool{}
	for _, use := range service.Secrets {
		secret, ok := o.get(service.Name, objectKey{secret: true, key: use.Source})
		if !ok {
			continue
		}
		file := target(types.FileReferenceConfig(use))
		o.checkTarget(service.Name, "secrets", use.Source, file.Name, targets)
		o.checkOwner(service.Name, "secrets", use.Source, file)
		references = append(references, &swarm.SecretReference{File: &file, SecretName: secret.Name})
	}
	slices.SortStableFunc(references, func(a, b *swarm.SecretReference) int {
		return cmp.Compare(a.SecretName, b.SecretName)
	})
	return references
}

// target returns the file in the container, with Docker's defaults.
func target(use types.FileReferenceConfig) swarm.SecretReferenceFileTarget {
	mode := fs.FileMode(0o444)
	if use.Mode != nil {
		mode = fs.FileMode(*use.Mode)
	}
	return swarm.SecretReferenceFileTarget{
		Name: cmp.Or(use.Target, use.Source),
		UID:  cmp.Or(use.UID, "0"),
		GID:  cmp.Or(use.GID, "0"),
		Mode: mode,
	}
}

// checkTarget refuses two objects at one place of a container.
func (o *objects) checkTarget(service, section, key, file string, taken map[string]bool) {
	if taken[file] {
		o.report.Fail(o.files.Place("services", service, section, key), "",
			"services.%s.%s: two of them have the target %s", service, section, file)
	}
	taken[file] = true
}

// checkOwner refuses an owner of a file that is no number: nodes know no names of users,
// and cannot create the container.
func (o *objects) checkOwner(service, section, key string, file swarm.SecretReferenceFileTarget) {
	for _, owner := range []struct{ property, id string }{{"uid", file.UID}, {"gid", file.GID}} {
		if _, err := strconv.Atoi(owner.id); err != nil {
			o.report.Fail(o.files.Place("services", service, section, key), "write the number that it has in the image",
				"services.%s.%s: the %s %q is not a number", service, section, owner.property, owner.id)
		}
	}
}
