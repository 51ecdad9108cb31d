package render

import (
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/spelling"
)

// apiVersion is the oldest Docker API that Kargo speaks (Docker 20.10). The
// converter chooses between old and new fields by it.
const apiVersion = "1.41"

// serviceName is what Swarm accepts as a service's name, besides its length.
var serviceName = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`)

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

// checkService refuses what Swarm would refuse in the middle of a deployment.
func checkService(s *rendering, service types.ServiceConfig) {
	at := s.files.Place("services", service.Name)
	if name := s.nameOf(service.Name); !serviceName.MatchString(name) || len(name) > maxServiceName {
		s.report.Fail(at, "a name has at most 63 letters, digits, - and _", "%s cannot be the name of a Swarm service", name)
	}
	if service.Image == "" {
		s.report.Fail(at, nearService(s.files.Config, service.Name), "services.%s has no image", service.Name)
	} else if _, err := reference.ParseAnyReference(service.Image); err != nil {
		s.report.Fail(s.files.Place("services", service.Name, "image"), "", "services.%s.image: %q: %s", service.Name, service.Image, err)
	}
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

// conversionErrors are errors of the converter, and the property that each is
// about.
var conversionErrors = []struct {
	pattern  *regexp.Regexp
	property []string
}{
	{regexp.MustCompile(`^undefined network "(.*)"$`), []string{"networks"}},
	{regexp.MustCompile(`^undefined volume "(.*)"$`), []string{"volumes"}},
	{regexp.MustCompile(`volume|bind|tmpfs|npipe|cluster|image options`), []string{"volumes"}},
	{regexp.MustCompile(`^test and disable`), []string{"healthcheck"}},
	{regexp.MustCompile(`replicas can only`), []string{"deploy", "replicas"}},
	{regexp.MustCompile(`^Unknown mode`), []string{"deploy", "mode"}},
	{regexp.MustCompile(`credential spec`), []string{"credential_spec"}},
	{regexp.MustCompile(`restart policy`), []string{"restart"}},
	{regexp.MustCompile(`(?i)cpu|rational|precise`), []string{"deploy", "resources"}},
}

// blameConversion reports an error of the converter at the property that it is
// about.
func blameConversion(s *rendering, service string, err error) {
	path := []string{"services", service}
	for _, known := range conversionErrors {
		if match := known.pattern.FindStringSubmatch(err.Error()); match != nil {
			path = append(path, known.property...)
			if len(match) > 1 {
				path = append(path, match[1])
			}
			break
		}
	}
	at := s.files.Place(path...)
	if slices.Contains(path, "volumes") {
		at = s.files.VolumePlace(service, path[len(path)-1])
	}
	s.report.Fail(at, "", "services.%s: %s", service, strings.Join(strings.Fields(err.Error()), " "))
}
