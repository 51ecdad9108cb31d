<!DOCTYPE html>
<html lang="en">
<title>${SITE_TITLE}</title>
<h1>${SITE_TITLE}</h1>
<p>See also <a href="https://adminer.${SUBDOMAIN}">adminer</a>.</p>
</html>
