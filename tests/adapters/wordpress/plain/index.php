<?php
/* Each page says who it is for. */
wp_send_json(['user' => wp_get_current_user()->user_login ?: '', 'nonce' => wp_create_nonce('wp_rest')]);
