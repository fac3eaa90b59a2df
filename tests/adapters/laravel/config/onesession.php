<?php

return ['name' => env('SITE_NAME_ATTRIBUTE')];
