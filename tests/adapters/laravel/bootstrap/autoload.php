<?php
/* As Composer's: the packages by what their composer.json says, the application by its folder. */
require 'Illuminate/autoload.php';

$base = dirname(__DIR__);
$folders = ['App\\' => "$base/app/"];
foreach (json_decode(file_get_contents("$base/vendor/composer/installed.json"), true)['packages'] as $package) {
    $folder = "$base/packages/" . basename($package['name']);
    foreach ($package['autoload']['psr-4'] as $prefix => $place) {
        $folders[$prefix] = "$folder/$place";
    }
    foreach ($package['autoload']['classmap'] as $file) {
        require "$folder/$file";
    }
}
spl_autoload_register(function (string $class) use ($folders) {
    foreach ($folders as $prefix => $folder) {
        $file = $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
        }
    }
});
