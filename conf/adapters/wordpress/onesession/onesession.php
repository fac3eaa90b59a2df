<?php
/**
 * Plugin Name: onesession
 * Description: One account, one live session: who signs in elsewhere is signed out here. It is set up in wp-config.php.
 * Version: 0.3.0
 * Requires at least: 6.1
 * Requires PHP: 8.1
 * License: MIT
 *
 * Its README.md is that of the adapters; php/ beside this file is the adapter for PHP.
 */
defined('ABSPATH') || exit;

if (!defined('ONESESSION_API') || !defined('ONESESSION_TOKEN_FILE') || !is_readable(__DIR__ . '/php/onesession.php')) {
    require __DIR__ . '/not-set-up.php';
    return;
}
require __DIR__ . '/php/onesession.php';

final class OnesessionPlugin
{
    /** Under which key the record of a session of WordPress's has the id of onesession's. */
    private const SESSION = 'onesession';
    /** How a session has ended, as Onesession::reason() says it. */
    private const ENDINGS = ['displaced', 'expired', 'idle', 'logged_out', 'revoked', 'password_changed', 'disabled'];

    private readonly Onesession $onesession;
    /** Who is signed in to WordPress, and by which session of onesession's. */
    private int $userId = 0;
    private string $session = '';
    private ?OnesessionRefused $refused = null;

    public function __construct()
    {
        $cookieName = defined('ONESESSION_COOKIE_NAME') ? ONESESSION_COOKIE_NAME : 'onesession';
        $this->onesession = new Onesession(ONESESSION_API, ONESESSION_TOKEN_FILE, cookieName: $cookieName);
        add_action('plugins_loaded', [$this, 'forgetOthers'], PHP_INT_MIN);
        /* Of all that asks `authenticate`, such as XML-RPC and application passwords, wp_signon() alone says this first. */
        add_action('wp_authenticate', fn() => add_filter('authenticate', [$this, 'signIn'], PHP_INT_MAX, 3));
        add_action('set_logged_in_cookie', [$this, 'attach'], PHP_INT_MIN, 6);
        add_action('wp_logout', [$this, 'signOut']);
        add_action('profile_update', [$this, 'profileUpdated'], 10, 2);
        add_action('after_password_reset', fn($user) => $user instanceof WP_User && $this->passwordChanged($user->ID));
        add_action('wp_set_password', [$this, 'passwordSet'], 10, 3);
        add_action('login_init', [$this, 'takeNext']);
        add_action('deleted_user', [$this, 'deleted']);
        add_filter('login_url', [$this, 'giveReason'], 10, 3);
        add_filter('wp_login_errors', [$this, 'explain']);
        add_action('login_form', [$this, 'offerTick']);
    }

    /**
     * Who is nobody to the guard, or somebody else, is nobody to WordPress: without these cookies there is nothing that it,
     * or another plug-in, could go by. In the browser they stay, and so does the session: it may be live elsewhere.
     */
    public function forgetOthers(): void
    {
        $names = ['auth' => AUTH_COOKIE, 'secure_auth' => SECURE_AUTH_COOKIE, 'logged_in' => LOGGED_IN_COOKIE];
        foreach ($names as $scheme => $name) {
            $cookie = wp_parse_auth_cookie('', $scheme);
            $user = $cookie ? get_user_by('login', $cookie['username']) : false;
            $record = $user ? WP_Session_Tokens::get_instance($user->ID)->get($cookie['token']) : null;
            $session = $record[self::SESSION] ?? '';
            if (!Onesession::isLetIn($session)) {
                unset($_COOKIE[$name]);
            } elseif ($record !== null && $scheme === 'logged_in') {
                [$this->userId, $this->session] = [$user->ID, $session];
            }
        }
    }

    /* Plug-ins call WordPress's hooks, too, with less than WordPress gives, or with something else. */

    /** The last word on who gave a right name and password: a login under the rule, or why there is none. */
    public function signIn(mixed $user, mixed $name, mixed $password): mixed
    {
        if (!$user instanceof WP_User || $this->isKeptBack($user->ID) || ($password === '' && $user->ID === $this->userId)) {
            return $user;
        }
        try {
            $this->enter($user);
        } catch (OnesessionRefused $refused) {
            $this->refused = $refused;
            /* The code by which the form keeps the name, and plug-ins that count wrong passwords do not count this. */
            return new WP_Error('empty_password', esc_html($refused->getMessage()));
        }
        return $user;
    }

    /**
     * With each cookie that WordPress gives. Where that is not of signIn(), such as a plug-in's, or that of a new password,
     * which goes on with the token of before, it is a login, too.
     */
    public function attach(
        mixed $cookie,
        mixed $expire = 0,
        mixed $expiration = 0,
        mixed $user = 0,
        mixed $scheme = '',
        mixed $token = ''
    ): void {
        $userId = self::idOf($user);
        $isSignIn = get_userdata($userId) && is_string($token) && $token !== '';
        if (PHP_SAPI === 'cli' || !$isSignIn || $this->isKeptBack($userId)) {
            return;
        }
        $sessions = WP_Session_Tokens::get_instance($userId);
        try {
            if ($this->userId !== $userId || $this->session === '') {
                $this->enter(get_userdata($userId));
            }
        } catch (OnesessionRefused $refused) {
            $sessions->destroy($token);
            wp_die(esc_html($refused->getMessage()), '', ['response' => $refused->status, 'back_link' => true]);
        }
        $record = $sessions->get($token);
        if ($record !== null) {
            $sessions->update($token, [self::SESSION => $this->session] + $record);
        }
    }

    /** Of whoever is here, where nobody is named. */
    public function signOut(mixed $user = ''): void
    {
        $isHere = in_array($user, ['', null, 0], true) || self::idOf($user) === $this->userId;
        if ($isHere && $this->session !== '') {
            $this->onesession->leave($this->session);
        }
    }

    public function profileUpdated(mixed $updated, mixed $before = null): void
    {
        $user = get_userdata(self::idOf($updated));
        if ($user && $before instanceof WP_User && $user->user_pass !== $before->user_pass) {
            $this->passwordChanged($user->ID);
        }
    }

    /** Plug-ins call wp_set_password(); so does WordPress at a sign-in, to store the same one in a newer form. */
    public function passwordSet(mixed $password, mixed $user = 0, mixed $before = null): void
    {
        $isSame = $before instanceof WP_User && is_string($password) && wp_check_password($password, $before->user_pass);
        if (!$isSame && get_userdata(self::idOf($user))) {
            $this->passwordChanged(self::idOf($user));
        }
    }

    /** The guard leads to access.login_url with next=, WordPress's redirect_to; to another site it does not go. */
    public function takeNext(): void
    {
        $next = $_GET['next'] ?? null;
        /* A path, whatever it looks like, that can stand in a header field as it is. */
        if (is_string($next) && preg_match('#^/[\x21-\x7e]{0,2000}$#D', $next)) {
            $_REQUEST += ['redirect_to' => $next];
        }
    }

    /**
     * Where WordPress itself leads to the form, as the guard does: with that, the browser forgets whose session has ended.
     * Links to the form do without, for a page with one may be kept, and shown to others.
     */
    public function giveReason(mixed $address, mixed $redirect = '', mixed $isLedThere = false): mixed
    {
        $reason = Onesession::reason();
        if (!$isLedThere || !is_string($address) || !in_array($reason, self::ENDINGS, true)) {
            return $address;
        }
        $isLost = !in_array($_SERVER['REQUEST_METHOD'], ['GET', 'HEAD'], true);
        return add_query_arg(['reason' => $reason] + ($isLost ? ['lost' => 'true'] : []), $address);
    }

    /** What the address has chooses a sentence, and nothing else. */
    public function explain(mixed $errors): mixed
    {
        if (!$errors instanceof WP_Error) {
            return $errors;
        }
        $reason = Onesession::reason();
        if ($reason === 'unauthenticated' && is_string($_GET['reason'] ?? null)) {
            $reason = $_GET['reason'];
        }
        $texts = [self::sentence($reason)];
        if ($reason !== '' && ($_GET['lost'] ?? '') === 'true') {
            $texts[] = __('What you sent has not arrived. Sign in, and then send it again.', 'onesession');
        }
        $text = trim(implode(' ', $texts));
        if ($text !== '') {
            /* What the form in an open editor says by itself. */
            $errors->remove('expired');
            if (!$errors->has_errors()) {
                $errors->add('onesession', esc_html($text), 'message');
            }
        }
        return $errors;
    }

    private static function sentence(string $code): string
    {
        return match ($code) {
            'displaced' => __('You were signed out because your account was signed in elsewhere.', 'onesession'),
            'expired' => __('Your session has expired. Please sign in again.', 'onesession'),
            'idle' => __('You were signed out because you had not been here for a while.', 'onesession'),
            'logged_out' => __('You have signed out.', 'onesession'),
            'revoked' => __('Your session was ended from elsewhere, by you or by an operator.', 'onesession'),
            'password_changed' => __('You were signed out because your password was changed.', 'onesession'),
            'disabled' => __('Your account has been disabled.', 'onesession'),
            default => '',
        };
    }

    /** Where session.on_limit is "ask", the refusal has a ticket. The tick stays when the password was wrong. */
    public function offerTick(): void
    {
        $isTicked = isset($_POST['take_over']);
        if ($this->refused === null ? $isTicked : isset($this->refused->problem['ticket'])) {
            printf(
                '<p style="margin-bottom: 16px"><label><input type="checkbox" name="take_over" value="1"%s> %s</label></p>',
                $isTicked ? ' checked="checked"' : '',
                esc_html__('Sign out elsewhere', 'onesession')
            );
        }
    }

    /** The number of a user; 0 for what is none: of an object, or a list, PHP's own conversion makes the administrator's. */
    private static function idOf(mixed $user): int
    {
        return is_int($user) || (is_string($user) && ctype_digit($user)) ? (int) $user : 0;
    }

    /** By a plug-in that asks for a second factor first: what is begun then is no session yet. */
    private function isKeptBack(int $userId): bool
    {
        return !apply_filters('send_auth_cookies', true, 0, 0, $userId, '', '');
    }

    /** The account is that of the user's number, whatever both are called by now. It is made by a name that there can be. */
    private function enter(WP_User $user): void
    {
        $own = "user-$user->ID";
        $isName = preg_match('/^(?!user-)[a-z0-9 _.-]+$/Di', $user->user_login);
        try {
            $answer = $this->enterAs($isName ? $user->user_login : $own, $user);
        } catch (OnesessionRefused $refused) {
            $isOfName = in_array($refused->problem['status'] ?? 0, [400, 404], true);
            if (!$isName || (!$isOfName && ($refused->problem['code'] ?? '') !== 'duplicate')) {
                throw $refused;
            }
            $answer = $this->enterAs($own, $user);
        }
        [$this->userId, $this->session] = [$user->ID, $answer['session']['id']];
    }

    private function enterAs(string $name, WP_User $user): array
    {
        return $this->onesession->enter($name, isset($_POST['take_over']), ['external_id' => (string) $user->ID]);
    }

    /** Its sessions end everywhere. To WordPress they have already: its cookies have a part of the password's hash. */
    private function passwordChanged(int $userId): void
    {
        try {
            $this->onesession->passwordChanged(get_userdata($userId)->user_login, (string) $userId);
            if ($userId === $this->userId) {
                $this->session = '';
            }
        } catch (OnesessionRefused) {
            error_log("onesession: the sessions of user $userId were not ended");
        }
    }

    /** In a network of sites who is taken from one of them is deleted by this name as well, and still there. */
    public function deleted(mixed $user): void
    {
        $userId = self::idOf($user);
        if ($userId === 0 || get_userdata($userId) !== false) {
            return;
        }
        try {
            $this->onesession->deleted('', (string) $userId);
        } catch (OnesessionRefused) {
            error_log("onesession: the account of user $userId was not deleted");
        }
    }
}

new OnesessionPlugin();
