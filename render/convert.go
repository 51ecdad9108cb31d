package render

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
	"kargo/spelling"
)

// apiVersion is the oldest Docker API that Kargo speaks (Docker 20.10). The
// converter chooses between old and new fields by it.
const apiVersion = "1.41"

// serviceName is what Swarm accepts as a service's name, besides its length.
var serviceName = pattern.Lazy(`^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`)

const maxServiceName = 63

// services converts the services of a stack, in order of name. The configs and
// secrets that they use are in s.objects then.
func services(s *rendering) []kargo.Service {
	var converted []kargo.Service
	for _, service := range s.files.Config.Services {
		before := s.report.Errors()
		checkService(s, service)
		spec, ok := specOf(s, service)
		if !ok {
			continue
		}
		files := labelFiles(s, service.Name, &spec)
		checkLimits(s, service.Name, spec)
		if s.report.Errors() == before { // else Swarm would only repeat it
			refuse(s, service.Name, spec)
		}
		converted = append(converted, kargo.Service{Name: s.nameOf(service.Name), Spec: spec, Files: files, Needs: needsOf(s, s.jobs, service)})
	}
	return converted
}

// capitals matches an image whose first part has capital letters and is no address of a
// registry. Newer engines take it for one, older ones refuse it.
var capitals = pattern.Lazy(`^[^/.:@]*[A-Z][^/.:@]*/`)

// checkService refuses what Swarm would refuse in the middle of a deployment.
func checkService(s *rendering, service types.ServiceConfig) {
	at := s.files.Place("services", service.Name)
	if name := s.nameOf(service.Name); !serviceName().MatchString(name) || len(name) > maxServiceName {
		s.report.Fail(at, "a name has at most 63 letters, digits, - and _", "%s cannot be the name of a Swarm service", name)
	}
	if service.Image == "" {
		s.report.Fail(s.files.Place("services", service.Name, "image"), nearService(s.files.Config, service.Name), "services.%s has no image", service.Name)
	} else if _, err := reference.ParseAnyReference(service.Image); err != nil {
		s.report.Fail(s.files.Place("services", service.Name, "image"), imageHint(service.Image), "services.%s.image: %q: %s", service.Name, service.Image, err)
	} else if capitals().MatchString(service.Image) {
		s.report.Fail(s.files.Place("services", service.Name, "image"), "names of images are written in lower case; a registry has a dot or a port",
			"services.%s.image: %q: Swarm takes the first part for a registry, or refuses its capital letters", service.Name, service.Image)
	}
}

// imageHint helps with the name of an image that is none.
func imageHint(image string) string {
	switch {
	case strings.Contains(image, "://"):
		return "write it without " + image[:strings.Index(image, "://")+len("://")]
	case strings.ContainsAny(image, " \t"):
		return "write it without blanks"
	}
	return ""
}

// nearService returns a hint for an extension that misspells what it extends.
func nearService(config *types.Config, name string) string {
	var others []string
	for _, other := range config.Services {
		if other.Image != "" {
			others = append(others, other.Name)
		}
	}
	return spelling.DidYouMean(name, others)
}

// specOf converts one service.
func specOf(s *rendering, service types.ServiceConfig) (swarm.ServiceSpec, bool) {
	secrets := s.objects.secretReferences(service)
	configs := s.objects.configReferences(&service)
	files := bindConfigs(s, &service)
	secrets, configs = append(secrets, files.secrets...), append(configs, files.configs...)
	config := s.files.Config
	if reportUndeclared(s, service) {
		return swarm.ServiceSpec{}, false
	}
	spec, err := convert.Service(apiVersion, convert.NewNamespace(s.namespace), service,
		config.Networks, config.Volumes, secrets, configs)
	if err != nil {
		blameConversion(s, service.Name, err)
		return swarm.ServiceSpec{}, false
	}
	for _, config := range configs {
		config.ConfigID = "" // it only carried the name through the converter
	}
	return spec, true
}

// reportUndeclared reports the networks and volumes of a service that no file declares,
// of which the converter would report the first only.
func reportUndeclared(s *rendering, service types.ServiceConfig) bool {
	before := s.report.Errors()
	networks, volumes := s.files.Config.Networks, s.files.Config.Volumes
	for _, network := range slices.Sorted(maps.Keys(service.Networks)) {
		if _, declared := networks[network]; !declared && network != "default" {
			s.report.Fail(s.files.Place("services", service.Name, "networks", network), declareIt(network, slices.Sorted(maps.Keys(networks))),
				"services.%s: undefined network %q", service.Name, network)
		}
	}
	for _, volume := range service.Volumes {
		if _, declared := volumes[volume.Source]; !declared && volume.Type == "volume" && volume.Source != "" {
			s.report.Fail(s.files.VolumePlace(service.Name, volume.Target), declareIt(volume.Source, slices.Sorted(maps.Keys(volumes))),
				"services.%s: undefined volume %q", service.Name, volume.Source)
		}
	}
	return s.report.Errors() > before
}

// declareIt returns the hint for a name that no file declares.
func declareIt(name string, declared []string) string {
	return cmp.Or(spelling.DidYouMean(name, declared), "declare it at the top level of the file")
}

// conversionErrors are errors of the converter, and the property that each is
// about, with a hint.
var conversionErrors = []struct {
	pattern  func() *regexp.Regexp
	property []string
	hint     string
}{
	{pattern.Lazy(`volume|bind|tmpfs|npipe|cluster|image options`), []string{"volumes"}, ""},
	{pattern.Lazy(`^test and disable`), []string{"healthcheck"}, ""},
	{pattern.Lazy(`replicas can only`), []string{"deploy", "replicas"}, "remove replicas: a global service has a task on every node"},
	{pattern.Lazy(`^Unknown mode`), []string{"deploy", "mode"}, "replicated, global, replicated-job or global-job"},
	{pattern.Lazy(`credential spec`), []string{"credential_spec"}, ""},
	{pattern.Lazy(`restart policy`), []string{"restart"}, ""},
	{pattern.Lazy(`(?i)cpu|rational|precise`), []string{"deploy", "resources"}, `write cpus as a number such as "0.5", with nine decimals at most`},
}

// blameConversion reports an error of the converter at the property that it is
// about.
func blameConversion(s *rendering, service string, err error) {
	path, hint := []string{"services", service}, ""
	for _, known := range conversionErrors {
		if known.pattern().MatchString(err.Error()) {
			path, hint = append(path, known.property...), known.hint
			break
		}
	}
	at := s.files.Place(path...)
	if slices.Contains(path, "volumes") {
		at = s.files.VolumePlace(service, path[len(path)-1])
	}
	s.report.Fail(at, hint, "services.%s: %s", service, strings.Join(strings.Fields(err.Error()), " "))
}
