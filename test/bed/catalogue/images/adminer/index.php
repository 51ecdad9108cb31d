<?php
// ADMINER_DEFAULT_SERVER fills in the form's server, as in the official image.
if ($_SERVER['REQUEST_METHOD'] === 'GET' && !isset($_GET['server'])) {
    $_GET['server'] = getenv('ADMINER_DEFAULT_SERVER') ?: '';
}
chdir('/usr/share/adminer/adminer');
require '/usr/share/adminer/adminer/index.php';
